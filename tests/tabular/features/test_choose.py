import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from thinnet.tabular import Progress
from thinnet.tabular._budget import Budget
from thinnet.tabular.columns._schema import Dropped, learn
from thinnet.tabular.features import _choose as _choosing
from thinnet.tabular.features._choose import (
    Chosen,
    afterwards,
    choose_columns,
    narrowed_schema,
    shown_path,
    told,
)
from thinnet.tabular.features._path import FeaturePath, FeatureStep
from thinnet.tabular.population._folds import stratified_folds

STEPS = (
    FeatureStep(0.0, 0.5, 0.1, 3, 0.0, 5.0, False),
    FeatureStep(0.1, math.nan, math.nan, 3, 0.0, 5.0, True),
    FeatureStep(0.2, 0.36, 0.05, 2, 0.3, 4.0, False),
    FeatureStep(0.4, 0.4, 0.05, 1, 0.6, 3.0, False),
)
PATH = FeaturePath(STEPS, {"a": math.inf, "b": 0.4, "c": 0.2, "d": 0.8}, ("a",), strength=0.4, best=0.2)


def test_columns_that_were_not_chosen_are_dropped_with_the_strength() -> None:
    rng = np.random.default_rng(0)
    schema, _ = learn(pd.DataFrame({name: rng.normal(size=9) for name in "abcd"}).assign(flat=1))
    found = narrowed_schema(schema, PATH)
    assert [(column.name, column.position) for column in found.columns] == [("a", 0)]
    assert found.dropped == (
        Dropped("flat", "constant"),
        Dropped("b", "not chosen: excluded at strength 0.4, and 0.4 was chosen"),
        Dropped("c", "not chosen: excluded at strength 0.2, and 0.4 was chosen"),
        Dropped("d", "not chosen: the network does without it at the chosen strength, 0.4"),
    )
    assert found.width == 5


def test_what_the_reader_should_know() -> None:
    assert told(PATH) == [
        "1 of 4 columns chosen at strength 0.4; left out: 'd', 'b', 'c'",
        "at some strengths of the path training diverged; it went on from the strength before",
    ]
    every = replace(PATH, chosen=tuple("abcd"), steps=STEPS[2:])
    assert told(every) == ["every one of the 4 columns was chosen: without any, held-out rows fare worse"]
    assert told(replace(every, ended=True)) == [
        "time ended the path of columns before all were excluded: a higher limit may exclude more"
    ]
    many = replace(PATH, leaves={f"c{i}": 0.1 for i in range(30)} | {"a": 1.0})
    assert told(many)[0].endswith("'c19' and 10 more")


def test_scores_are_shown_in_the_users_units() -> None:
    frame = shown_path(PATH, lambda loss: 10 * math.sqrt(loss))
    assert frame["held_out"].iloc[2] == pytest.approx(6)
    # the standard error of a root: se / (2 root), ten times
    assert frame["se"].iloc[2] == pytest.approx(10 * 0.05 / (2 * 0.6), rel=0.01)
    assert frame["held_out"].isna().tolist() == [False, True, False, False]
    assert frame["chosen"].tolist() == [False, False, False, True]
    assert frame["best"].tolist() == [False, False, True, False]


def test_progress_goes_on_where_the_path_ended() -> None:
    seen: list[Progress] = []
    callback = afterwards(seen.append)
    assert callback is not None
    for fraction in (0.0, 0.5, 1.0):
        callback(Progress("training", fraction, 3, None, 1.0, 2.0))
    assert [progress.fraction for progress in seen] == pytest.approx([0.3, 0.65, 1])
    assert afterwards(None) is None


def choose(checkpoint: Path | None = None, *, seed: int = 0, budget: Budget | None = None, **options: Any) -> Chosen:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=80), "kind": rng.choice(["a", "b", "c"], 80), "noise": rng.random(80)})
    schema, frame = learn(X)
    y = torch.from_numpy((X["size"] > 0).to_numpy().astype(np.int64))
    settings = {
        "n_bins": 8,
        "width": 640,
        "seed": seed,
        "budget": budget or Budget(None),
        "units": float,
        "callback": None,
        "checkpoint": checkpoint,
    }
    return choose_columns(schema, frame, (y, 2), stratified_folds(y.numpy(), 80, 3, 0), **settings | options)


@pytest.mark.usefixtures("short_path")
def test_a_checkpoint_remembers_the_choice_and_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fit.checkpoint"
    first = choose(file)
    assert file.exists()

    def again(*_: object) -> None:
        raise AssertionError("the path was gone again")

    monkeypatch.setattr(_choosing, "feature_path", again)
    budget = Budget(100.0)
    second = choose(file, budget=budget)
    assert repr(second) == repr(first)
    assert budget.elapsed >= first.seconds


@pytest.mark.usefixtures("short_path")
def test_a_checkpoint_of_another_choice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fit.checkpoint"
    choose(file)
    with pytest.raises(ValueError, match="belongs to another table, other parameters or another seed"):
        choose(file, seed=1)
    with pytest.raises(ValueError, match="belongs to another table, other parameters or another seed"):
        choose(file, n_bins=0)
    file.write_bytes(b"half of it")
    with pytest.raises(ValueError, match="is no whole checkpoint"):
        choose(file)


@pytest.mark.usefixtures("short_path")
def test_the_callback_is_told_of_the_choice() -> None:
    seen: list[Progress] = []
    choose(callback=seen.append, units=lambda loss: 10 * loss)
    assert {progress.phase for progress in seen} == {"choosing features"}
    assert {progress.members for progress in seen} == {4}
    assert seen[0].fraction == 0 and seen[0].best is None
    assert 0.15 < seen[-1].fraction <= 0.3
    assert seen[-1].best is not None and 0 < seen[-1].best < 10


@pytest.mark.usefixtures("short_path")
def test_torchs_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    choose()
    assert torch.equal(torch.get_rng_state(), before)
