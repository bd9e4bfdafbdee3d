import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import thinnet as tn
from thinnet.tabular import ThinNetClassifier, ThinNetRegressor, load
from thinnet.tabular.model import _compact
from thinnet.tabular.model._dead_nodes import narrowed

SMALL: dict[str, Any] = {
    "n_configurations": 4,
    "n_rounds": 1,
    "cv": 2,
    "hidden": (8, 6),
    "max_steps": 60,
    "time_limit": None,
    "random_state": 0,
}
RNG = np.random.default_rng(0)
X = pd.DataFrame({"size": RNG.normal(size=90), "kind": RNG.choice(["a", "b", "c"], 90), "age": RNG.normal(size=90)})
SIGNAL = X["size"] + (X["kind"] == "a") + 0.3 * RNG.normal(size=90)
Fitted = ThinNetClassifier | ThinNetRegressor


@pytest.fixture(autouse=True)
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compact, "_SECONDS", 0.0)


@pytest.fixture(params=["classifier", "regressor"])
def fitted(request: pytest.FixtureRequest) -> Fitted:
    if request.param == "classifier":
        return ThinNetClassifier(**SMALL).fit(X, np.where(SIGNAL > 0, "yes", "no"))
    return ThinNetRegressor(**SMALL).fit(X, 100 + 20 * SIGNAL)


def kill(model: Fitted) -> None:
    """In every network: node 2 of the first layer unread, node 3 of it without inputs, node 4 of the second unread."""
    for block in model.model_.ensemble.blocks:
        block.weights[1][:, :, 2] = 0
        block.weights[0][:, 3] = 0
        block.weights[2][:, :, 4] = 0


def networks(model: Fitted) -> int:
    return sum(len(block) for block in model.model_.ensemble.blocks)


def predictions(model: Fitted, frame: pd.DataFrame) -> np.ndarray:
    if isinstance(model, ThinNetClassifier):
        return model.predict_proba(frame)
    return np.stack(model.predict(frame, return_std=True), 1)


def test_dead_nodes_go_and_predictions_stay(fitted: Fitted) -> None:
    kill(fitted)
    before = predictions(fitted, X)
    small, report = fitted.compact()
    assert type(small) is type(fitted)
    assert all((old[1:3], new[1:3]) == ((8, 6), (6, 5)) for old, new in report.members)
    assert_allclose(predictions(small, X), before, rtol=1e-5)
    assert_array_equal(predictions(fitted, X), before)
    new = pd.DataFrame({"size": [np.nan, 1e6], "kind": ["unseen", None], "age": [0.0, -3.0]})
    assert_allclose(predictions(small, new), predictions(fitted, new), rtol=1e-5)
    count = networks(fitted)
    assert report.nodes == (count * 14, count * 11)
    assert report.parameters[1] == sum(a.size for block in small.model_.ensemble.blocks for a in block.arrays)
    assert report.size == tuple(4 * n for n in report.parameters)


def test_inputs_that_a_network_does_not_see_go(fitted: Fitted) -> None:
    blocks = fitted.model_.ensemble.blocks
    dead = blocks[-1].seen[0]
    blocks[-1].weights[0][:, :, 0] = 0
    small, report = fitted.compact()
    assert sum(before[0] - after[0] for before, after in report.members) >= len(blocks[-1])
    assert dead not in small.model_.ensemble.blocks[-1].seen
    seen = [len(block.seen) for block in blocks for _ in range(len(block))]
    for inputs, (before, after) in zip(seen, report.members, strict=True):
        assert before[0] == inputs
        assert after[0] <= inputs


def test_weights_and_temperatures_follow_their_networks() -> None:
    model = ThinNetClassifier(**SMALL).fit(X, np.where(SIGNAL > 0, "yes", "no"))
    k = networks(model)
    share = np.arange(1.0, k + 1)
    ensemble = replace(
        model.model_.ensemble, weights_K=share / share.sum(), temperatures_K=np.linspace(0.3, 3, k), temperature=0.7
    )
    model.model_ = replace(model.model_, ensemble=ensemble)
    # the first and the last become alike, those between do not
    ensemble.blocks[0].weights[1][0, :, 2] = 0
    ensemble.blocks[-1].weights[1][-1, :, 2] = 0
    small, report = model.compact()
    assert len(small.model_.ensemble.blocks) < k
    assert_allclose(small.predict_proba(X), model.predict_proba(X), rtol=1e-5)
    assert [new[1] for _, new in report.members] == [7, *[8] * (k - 2), 7]


def test_a_compact_model_is_saved_and_read(fitted: Fitted, tmp_path: Path) -> None:
    kill(fitted)
    small, _ = fitted.compact()
    places = [model.save(tmp_path / name) for name, model in (("old", fitted), ("new", small))]
    sizes = [os.path.getsize(place / "weights.safetensors") for place in places]
    assert sizes[1] < sizes[0]
    back = load(places[1])
    assert_array_equal(predictions(back, X), predictions(small, X))
    again = load(back.save(tmp_path / "again"))
    assert_array_equal(predictions(again, X), predictions(small, X))
    pd.testing.assert_frame_equal(back.leaderboard_, fitted.leaderboard_)
    assert back.report(tmp_path / "one.html").read_bytes() == fitted.report(tmp_path / "two.html").read_bytes()


def test_a_compact_model_has_the_format_of_all(fitted: Fitted, tmp_path: Path) -> None:
    kill(fitted)
    small, _ = fitted.compact()
    cards = [json.loads((m.save(tmp_path / str(i)) / "model.json").read_text()) for i, m in enumerate((fitted, small))]
    assert [card["format"] for card in cards] == [4, 4]
    assert cards[0]["payload"].keys() >= {"blocks", "activation"}


def test_compacting_twice_changes_nothing(fitted: Fitted, tmp_path: Path) -> None:
    kill(fitted)
    small, _ = fitted.compact()
    again, report = load(small.save(tmp_path / "m")).compact()
    assert report.parameters[0] == report.parameters[1]
    assert all(before == after for before, after in report.members)
    assert_array_equal(predictions(again, X), predictions(small, X))
    assert "as before" in str(report)


def test_where_nothing_can_go_the_networks_are_the_same() -> None:
    model = ThinNetRegressor(**SMALL | {"n_frequencies": 0, "n_bins": 0, "n_configurations": 1}).fit(X, SIGNAL)
    small, report = model.compact()
    assert small.model_.ensemble.blocks is model.model_.ensemble.blocks
    assert report.difference == 0


def test_a_layer_without_a_living_node_keeps_one_that_says_nothing(fitted: Fitted, tmp_path: Path) -> None:
    fitted.model_.ensemble.blocks[0].weights[1][0] = 0
    before = predictions(fitted, X)
    small, report = fitted.compact()
    assert report.members[0][1][:3] == (1, 1, 1)
    assert_allclose(predictions(load(small.save(tmp_path / "m")), X), before, rtol=1e-5)


def test_networks_that_differ_are_refused(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(fitted)

    def wrong(network: Any) -> Any:
        smaller, order, sizes = narrowed(network)
        smaller[0].weights[0][:] += 0.1
        return smaller, order, sizes

    monkeypatch.setattr(_compact, "narrowed", wrong)
    before = predictions(fitted, X)
    with pytest.raises(tn.NotCompactableError, match=r"predictions differ by .*; the estimator is unchanged"):
        fitted.compact()
    assert_array_equal(predictions(fitted, X), before)


def test_an_unfitted_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="not fitted yet"):
        ThinNetRegressor().compact()
