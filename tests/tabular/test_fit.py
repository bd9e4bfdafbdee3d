import gc
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from thinnet.tabular import ThinNetClassifier
from thinnet.tabular._budget import Budget
from thinnet.tabular._fit import Fitted, fit_population
from thinnet.tabular._progress import Progress
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._settings import Settings

Make = Callable[..., Problem]

SETTINGS = Settings(n_configurations=4, n_rounds=1, hidden=(8,), max_steps=60, batch_size=32, seed=0)


def fit(problem: Problem, callback: Callable[[Progress], object] | None = None, **changes: Any) -> Fitted:
    return fit_population(problem, replace(SETTINGS, **changes), Budget(None), lambda loss: loss, callback)


@pytest.mark.slow
@pytest.mark.parametrize(("configurations", "rounds", "rows"), [(4, 1, 4), (4, 2, 6), (5, 3, 9), (1, 2, 2)])
def test_each_further_round_is_half_as_large(configurations: int, rounds: int, rows: int, make_problem: Make) -> None:
    fitted = fit(make_problem(3), n_configurations=configurations, n_rounds=rounds)
    assert len(fitted.leaderboard) == rows
    assert fitted.leaderboard["weight"].sum() == pytest.approx(1)
    assert fitted.notes == []
    assert not fitted.interrupted


@pytest.mark.parametrize("classes", [1, 3])
def test_held_out_predictions_cover_every_row(classes: int, make_problem: Make) -> None:
    problem = make_problem(classes)
    fitted = fit(problem)
    assert fitted.oof_mean_NC.shape == fitted.oof_variance_NC.shape == (120, classes)
    assert np.isfinite(fitted.oof_mean_NC).all()
    assert (fitted.oof_variance_NC >= 0).all()
    if classes == 3:
        np.testing.assert_allclose(fitted.oof_mean_NC.sum(1), 1)


def test_the_callback_is_told_how_far_it_is(make_problem: Make) -> None:
    told: list[Progress] = []
    fit(make_problem(3), told.append, n_rounds=2)
    fractions = [p.fraction for p in told]
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)
    assert list(dict.fromkeys(p.phase for p in told)) == ["training", "refining", "selecting the ensemble"]
    assert told[0].best is None
    assert told[0].members == 12
    best = [p.best for p in told[1:]]
    assert best == sorted(best, key=lambda b: -b if b is not None else 0)
    assert all(p.left >= 0 and p.elapsed >= 0 for p in told)


def test_an_interrupted_fit_is_usable(make_problem: Make) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.fraction > 0.3 and progress.members:
            signal.raise_signal(signal.SIGINT)

    problem = make_problem(3)
    fitted = fit(problem, interrupt, n_rounds=3)
    assert fitted.interrupted
    assert len(fitted.leaderboard) < 8
    assert np.isfinite(fitted.ensemble.outputs(problem.x_ND.numpy())[0]).all()


def test_an_interrupt_before_anything_is_usable_goes_on_to_the_caller(make_problem: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(make_problem(3), lambda progress: signal.raise_signal(signal.SIGINT))


def test_a_fit_in_which_every_network_diverges_is_refused(make_problem: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinnet.tabular._fit.population", lambda *args, **options: [Configuration(lr=1e20)] * 2)
    with pytest.raises(ValueError, match=r"every network diverged: no held-out loss was finite\. Look for extreme"):
        fit(make_problem(1))


def bytes_alive() -> int:
    """Size of the storages of all tensors."""
    gc.collect()
    with warnings.catch_warnings():  # looking at every object meets deprecated ones
        warnings.simplefilter("ignore")
        storages = [o.untyped_storage() for o in gc.get_objects() if type(o) in (torch.Tensor, torch.nn.Parameter)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.mark.slow
@pytest.mark.usefixtures("short_path")
def test_no_tensor_outlives_its_fit(tmp_path: Path) -> None:
    """With every stage, the fit interrupted and resumed, and the estimator deleted."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "c": rng.choice(["x", "y"], 300)})
    y = np.where(X["a"] + (X["c"] == "x") > 0, "yes", "no")

    def interrupt(progress: Progress) -> None:
        if progress.phase == "refining":
            signal.raise_signal(signal.SIGINT)

    def fit_one(seed: int) -> int:
        """Bytes alive after a fit."""
        settings = {"n_configurations": 6, "cv": 2, "hidden": (64, 64), "max_steps": 60, "time_limit": None}
        stages = {"select_features": True, "polish": True, "refit": True, "checkpoint": tmp_path / "fit"}
        first = ThinNetClassifier(**settings, **stages, random_state=seed, callback=interrupt)
        with pytest.raises(KeyboardInterrupt):
            first.fit(X, y)
        assert (tmp_path / "fit").exists()
        ThinNetClassifier(**settings, **stages, random_state=seed).fit(X, y).predict_proba(X)
        del first
        return bytes_alive()

    start, *later = [fit_one(seed) for seed in range(3)]
    assert max(later) <= start + 2**20
