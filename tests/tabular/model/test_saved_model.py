import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from thinnet.errors import ModelFolderError
from thinnet.tabular import ThinNetClassifier, ThinNetRegressor, load

SMALL: dict[str, Any] = {
    "n_configurations": 4,
    "n_rounds": 1,
    "cv": 2,
    "hidden": (8,),
    "max_steps": 60,
    "time_limit": None,
    "random_state": 0,
}
RNG = np.random.default_rng(0)
X = pd.DataFrame({"size": RNG.normal(size=90), "kind": RNG.choice(["a", "b", "c"], 90), "flat": 1.0})
SIGNAL = X["size"] + (X["kind"] == "a") + 0.3 * RNG.normal(size=90)


@pytest.fixture(scope="module")
def classifier() -> ThinNetClassifier:
    return ThinNetClassifier(**SMALL).fit(X, pd.Series(np.where(SIGNAL > 0, "yes", "no"), name="answer"))


@pytest.fixture(scope="module")
def regressor() -> ThinNetRegressor:
    return ThinNetRegressor(**SMALL).fit(X, 100 + 20 * SIGNAL)


def test_a_classifier_comes_back_exactly(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    back = load(classifier.save(tmp_path / "model"))
    assert isinstance(back, ThinNetClassifier)
    assert_array_equal(back.predict_proba(X), classifier.predict_proba(X))
    assert_array_equal(back.predict(X), classifier.predict(X))
    same(back, classifier, tmp_path)


def test_a_regressor_comes_back_exactly(regressor: ThinNetRegressor, tmp_path: Path) -> None:
    back = load(regressor.save(tmp_path / "model"))
    assert isinstance(back, ThinNetRegressor)
    for ours, theirs in zip(back.predict(X, return_std=True), regressor.predict(X, return_std=True), strict=True):
        assert_array_equal(ours, theirs)
    same(back, regressor, tmp_path)


def same(back: Any, original: Any, folder: Path) -> None:
    pd.testing.assert_frame_equal(back.leaderboard_, original.leaderboard_)
    assert back.get_params() == original.get_params()
    assert_array_equal(back.feature_names_in_, original.feature_names_in_)
    for name in ("notes_", "facts_", "held_out_score_", "target_name_", "n_features_in_", "curves_"):
        assert getattr(back, name) == getattr(original, name)
    assert back.notes_ == ["column 'flat' left out: constant"]
    assert original.report(folder / "one.html").read_bytes() == back.report(folder / "two.html").read_bytes()
    new = pd.DataFrame({"kind": ["unseen", None], "size": [np.nan, 3.0]})
    assert_array_equal(back.predict(new), original.predict(new))
    again = load(back.save(folder / "again"))
    assert_array_equal(again.predict(X), original.predict(X))


@pytest.mark.parametrize(
    "labels",
    [["no", "yes"], [3, -7], [False, True], [0.0, 2.0], np.array(["no", "much longer"], dtype=object)],
    ids=["text", "int", "bool", "float", "object"],
)
def test_labels_keep_their_type(labels: Any, tmp_path: Path) -> None:
    labels = np.asarray(labels)
    model = ThinNetClassifier(**SMALL | {"max_steps": 5}).fit(X, labels[(SIGNAL > 0).astype(int)])
    back = ThinNetClassifier.load(model.save(tmp_path / "model"))
    assert back.classes_.dtype == model.classes_.dtype == labels.dtype
    assert back.classes_.tolist() == sorted(labels.tolist())
    predicted = back.predict(X)
    assert predicted.dtype == labels.dtype
    assert_array_equal(predicted, model.predict(X))


def test_an_incomplete_mix_keeps_its_gaps(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    board = classifier.leaderboard_.copy()
    board.loc[3, ["train", "held_out", "gap"]] = np.nan
    model = ThinNetClassifier(**SMALL)
    model.__dict__.update(classifier.__dict__)
    model.record_ = replace(classifier.record_, leaderboard=board)
    pd.testing.assert_frame_equal(load(model.save(tmp_path / "model")).leaderboard_, board)


def test_another_kind_is_refused(classifier: ThinNetClassifier, regressor: ThinNetRegressor, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"holds a ThinNetClassifier, not a ThinNetRegressor.* thinnet\.tabular"):
        ThinNetRegressor.load(classifier.save(tmp_path / "one"))
    with pytest.raises(ModelFolderError, match="holds a ThinNetRegressor, not a ThinNetClassifier"):
        ThinNetClassifier.load(regressor.save(tmp_path / "two"))


def test_altered_weights_are_refused(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    folder = classifier.save(tmp_path / "model")
    (file,) = folder.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFolderError, match=f"{file.name} is damaged: it is not what was saved"):
        load(folder)


def test_a_generator_as_random_state_is_not_kept(tmp_path: Path) -> None:
    state = np.random.RandomState(3)
    model = ThinNetClassifier(**SMALL | {"max_steps": 5, "random_state": state}).fit(X, SIGNAL > 0)
    back = load(model.save(tmp_path / "model"))
    assert back.random_state is None
    assert model.random_state is state
    assert_array_equal(back.predict(X), model.predict(X))


def test_callback_and_checkpoint_stay_behind(tmp_path: Path) -> None:
    settings = SMALL | {"max_steps": 5, "callback": print, "checkpoint": tmp_path / "file"}
    model = ThinNetRegressor(**settings | {"callback": lambda progress: None}).fit(X, SIGNAL)
    back = load(model.save(tmp_path / "model"))
    assert back.callback is None
    assert back.checkpoint is None


def test_numpys_numbers_are_saved_as_parameters(tmp_path: Path) -> None:
    settings = SMALL | {"max_steps": np.int64(5), "hidden": np.array([8]).tolist(), "random_state": np.int32(1)}
    back = load(ThinNetRegressor(**settings).fit(X.to_numpy()[:, :1].astype(float), SIGNAL).save(tmp_path / "model"))
    assert (back.max_steps, back.hidden, back.random_state) == (5, (8,), 1)
    assert not hasattr(back, "feature_names_in_")


def test_the_card_is_plain_json(regressor: ThinNetRegressor, tmp_path: Path) -> None:
    (card,) = regressor.save(tmp_path / "model").glob("*.json")
    params = json.loads(card.read_text())["params"]
    assert params["hidden"] == [8]
    assert params["max_steps"] == 60


def test_an_unfitted_estimator_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted yet"):
        ThinNetRegressor().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
