import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.linear_model import Lasso, LinearRegression

from thinnet import L1, L2, ElasticNet, GroupLasso, MaxNorm, WeightDecay
from thinnet.tabular import Progress, ThinNetClassifier, ThinNetRegressor, load
from thinnet.tabular._budget import Budget
from thinnet.tabular.population import _polish_refit as _debias
from thinnet.tabular.population._configuration import Configuration, Stage
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._polish_refit import Debiased, Debiasing, makes_zeros
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

Make, Train = Callable[..., Problem], Callable[..., Training]
TELL = Callable[[str, float, int, float], None]

BOTH: tuple[Stage, ...] = ("polish", "refit")
CONFIGURATIONS = [
    Configuration(dropout=0.2),
    Configuration((L1(3e-2),), dropout=0.1, lr=1e-2),
    Configuration((GroupLasso(3e-2, by="outputs"),), lr=1e-2),
]


def debias(
    problem: Problem,
    trained: Trained,
    stages: tuple[Stage, ...],
    *,
    hidden: tuple[int, ...] = (8,),
    steps: int = 200,
    seed: int = 0,
    budget: Budget | None = None,
    tell: TELL = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> Debiased:
    settings = Settings(3, 1, hidden, steps, 32, seed, stages)
    return Debiasing(problem, settings, tell, stop).run(trained, budget or Budget(None))


@pytest.fixture
def linear() -> Problem:
    """Three of twenty columns matter, in three folds."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1200, 20)).astype(np.float32)
    y = x[:, 0] - 2 * x[:, 1] + 0.5 * x[:, 2] + 0.3 * rng.normal(size=1200)
    return Problem(
        torch.from_numpy(x),
        torch.from_numpy(y.astype(np.float32)),
        np.arange(1200) % 3,
        1,
        np.array(["numeric"] * 20),
    )


def coefficients(trained: Trained, k: int) -> np.ndarray:
    return trained.stack.weights[0][k, 0].detach().numpy()


def zeros(trained: Trained) -> list[np.ndarray]:
    return [(w == 0).numpy() for w in trained.stack.weights]


def test_a_polish_reaches_the_lasso_and_clears_what_is_none_of_it(
    linear: Problem, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    strength = 0.2
    trained = train(linear, [Configuration((L1(strength),), lr=2e-2)], hidden=(), steps=60, keep_last=True).result()
    monkeypatch.setattr(_debias, "_POLISH_STEPS", 1500)
    (polished,) = debias(linear, trained, ("polish",), hidden=(), steps=1500).found
    cleared = 0
    for fold in range(3):
        seen = linear.fold_N != fold
        # scikit-learn halves the squared error
        oracle = Lasso(alpha=strength / 2, tol=1e-8).fit(linear.x_ND.double()[seen], linear.y_N.double()[seen])
        before, after = coefficients(trained, fold), coefficients(polished, fold)
        np.testing.assert_allclose(after, oracle.coef_, atol=1e-3)
        assert_array_equal(after == 0, oracle.coef_ == 0)
        cleared += int(((before != 0) & (oracle.coef_ == 0)).sum())
    assert cleared > 0  # there was noise to be cleared
    assert [str(configuration) for configuration in polished.configurations] == [f"L1 {strength} + polish"]


def test_a_refit_is_least_squares_on_the_survivors(linear: Problem, train: Train) -> None:
    trained = train(linear, [Configuration((L1(0.4),), lr=2e-2)], hidden=(), steps=400, keep_last=True).result()
    (refit,) = debias(linear, trained, ("refit",), hidden=(), steps=2000).found
    for fold in range(3):
        seen, left = linear.fold_N != fold, coefficients(trained, fold) != 0
        assert 2 <= left.sum() < 20
        oracle = LinearRegression().fit(linear.x_ND.numpy()[seen][:, left], linear.y_N.numpy()[seen])
        before, after = coefficients(trained, fold)[left], coefficients(refit, fold)[left]
        assert np.abs(before[:2] - oracle.coef_[:2]).min() > 0.1  # shrunk by the penalty
        np.testing.assert_allclose(after, oracle.coef_, atol=0.05)
        assert_array_equal(coefficients(refit, fold) != 0, left)
        assert refit.traces[fold].score < trained.traces[fold].score


@pytest.mark.parametrize("classes", [1, 3])
def test_a_refit_changes_the_survivors_alone(classes: int, make_problem: Make, train: Train) -> None:
    problem = make_problem(classes)
    trained = train(problem, CONFIGURATIONS).result()
    (refit,) = debias(problem, trained, ("refit",)).found
    order = np.argsort(trained.scores()[1:], kind="stable") + 1
    assert [replace(configuration, stages=()) for configuration in refit.configurations] == [
        CONFIGURATIONS[m] for m in order
    ]
    before = trained.part(order.tolist())
    for old, new, w, v in zip(zeros(before), zeros(refit), before.stack.weights, refit.stack.weights, strict=True):
        assert_array_equal(new, old)
        assert old.any()
        assert (w != v).any()
    # the start is one of the moments among which held-out rows choose
    assert all(new.score <= old.score for new, old in zip(refit.traces, before.traces, strict=True))
    moved = [k for k, trace in enumerate(refit.traces) if trace.best > 0]
    assert moved
    lower = [refit.traces[k].train[refit.traces[k].best] < refit.traces[k].train[0] for k in moved]
    assert np.mean(lower) > 0.5


def test_zeros_are_held_while_members_leave(make_problem: Make, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem(1)
    trained = train(problem, [Configuration((L1(s),), lr=1e-2) for s in (1e-2, 3e-2, 5e-2)]).result()
    monkeypatch.setattr("thinnet.tabular.population._early_stopping._PATIENCE", 0.05)
    alive: list[int] = []
    (refit,) = debias(problem, trained, ("refit",), steps=1200, tell=lambda *told: alive.append(told[2])).found
    assert len(set(alive)) > 2
    scores = np.argsort(trained.scores(), kind="stable").tolist()
    for old, new in zip(zeros(trained.part(scores)), zeros(refit), strict=True):
        assert_array_equal(new, old)


def test_all_but_what_makes_zeros_stays(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    configuration = Configuration(
        (ElasticNet(1e-2, 1e-3), MaxNorm(0.5), L2(1e-3)), dropout=0.2, label_smoothing=0.1, lr=2e-2, encodings=()
    )
    trained = train(problem, [configuration]).result()
    polished, refit = debias(problem, trained, BOTH).found
    for k in range(3):
        one, other = polished.stack.members[k], refit.stack.members[k]
        assert one.rule is not None and one.rule.parts() == configuration.rules
        assert other.rule is not None and other.rule.parts() == configuration.rules[1:]
        assert (one.dropout, other.dropout) == (0, 0.2)
        assert (one.label_smoothing, other.label_smoothing, other.lr) == (0.1, 0.1, 2e-2)
        assert one.inputs == other.inputs == (True, True, True, False, False, False)
    for w in refit.stack.weights:
        assert float(w.norm(dim=-1).max()) <= 0.5 + 1e-6
    assert not refit.stack.weights[0][:, :, 3:].any()
    assert str(refit.configurations[0]) == f"{configuration} + polish + refit"


def test_a_polish_knows_no_noise(make_problem: Make, train: Train) -> None:
    problem = make_problem(1)
    trained = train(problem, CONFIGURATIONS).result()
    one, other = (debias(problem, trained, ("polish",), seed=seed).found[0] for seed in (0, 1))
    # rows come in another order, masks would be others
    torch.testing.assert_close(list(one.stack.parameters()), list(other.stack.parameters()), rtol=1e-3, atol=1e-4)


def test_polish_comes_before_refit(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    trained = train(problem, CONFIGURATIONS).result()
    told: list[tuple[str, float]] = []
    polished, refit = debias(problem, trained, BOTH, tell=lambda *args: told.append(args[:2])).found
    assert list(dict.fromkeys(phase for phase, _ in told)) == ["polishing", "refitting"]
    shares = [share for _, share in told]
    assert (shares[0], shares[-1]) == (0, 1)
    assert shares == sorted(shares)
    for old, new in zip(zeros(polished), zeros(refit), strict=True):
        assert_array_equal(new, old)
    before = trained.part(
        [trained.configurations.index(replace(configuration, stages=())) for configuration in refit.configurations]
    )
    assert sum(z.sum() for z in zeros(polished)) > sum(z.sum() for z in zeros(before))
    # epochs go on from those of the population
    starts = [trace.epochs[trace.best] for trace in before.traces]
    assert [trace.epochs[0] for trace in polished.traces] == starts
    assert [trace.epochs[-1] for trace in polished.traces] == [start + 30 for start in starts]


def test_a_member_that_diverges_is_left_as_it_stood(make_problem: Make, train: Train) -> None:
    problem = make_problem(1)
    configurations = [Configuration((L1(1e-2),), lr=1e-2), Configuration((L1(1e-2),), lr=5e-3)]
    trained = train(problem, configurations).result()
    alone = debias(problem, trained.part([0]), BOTH).found
    trained.configurations[1] = replace(configurations[1], lr=1e20)
    found = debias(problem, trained, BOTH).found
    for one, both in zip(alone, found, strict=True):
        at = [configuration.lr for configuration in both.configurations].index(1e-2)
        np.testing.assert_allclose(both.scores()[at], one.scores()[0], rtol=1e-3)
        assert both.complete == [True, True]
        assert all(p.isfinite().all() for p in both.stack.parameters())
        np.testing.assert_allclose(both.scores()[1 - at], trained.scores()[1], rtol=1e-6)


def test_where_nothing_has_zeros_a_note_says_so(make_problem: Make, train: Train) -> None:
    problem = make_problem(1)
    plain = train(
        problem, [Configuration(), Configuration((L2(1e-3), MaxNorm(1.0), WeightDecay(0.1)))], steps=5
    ).result()
    assert not any(map(makes_zeros, plain.configurations))
    result = debias(problem, plain, BOTH)
    assert (result.found, result.notes) == ([], ["no configuration has zeros: there was none to polish and refit"])
    weak = train(problem, [Configuration((L1(0.0),))], steps=5).result()
    assert debias(problem, weak, ("refit",)).notes == ["no configuration has zeros: there was none to refit"]


def test_the_best_configurations_come_first_where_time_is_short(
    make_problem: Make, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem(1)
    trained = train(problem, [Configuration((L1(s),), lr=1e-2) for s in (1e-2, 5e-2, 3e-2, 2e-1)]).result()
    monkeypatch.setattr(Training, "step_seconds", lambda self, most: 1.0)
    result = debias(problem, trained, ("refit",), budget=Budget(2.5 * 50))
    assert result.notes == ["time to refit the best 2 of 4 configurations with zeros"]
    best = np.argsort(trained.scores(), kind="stable")[:2]
    assert [configuration.rules for configuration in result.found[0].configurations] == [
        trained.configurations[m].rules for m in best
    ]


def test_a_stage_that_the_time_is_too_short_for_is_left_out_and_said_so(
    make_problem: Make, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem(1)
    trained = train(problem, [Configuration((L1(1e-2),), lr=1e-2), Configuration((L1(3e-2),), lr=1e-2)]).result()
    # a step costs a second for 30 rows, and the full batch has 120
    monkeypatch.setattr(_debias, "_PROBED", 30)
    monkeypatch.setattr(Training, "step_seconds", lambda self, most: 1.0)
    result = debias(problem, trained, BOTH, budget=Budget(110))  # 15 full batches take 60 seconds, 50 minibatches 53
    assert result.notes == [
        "too little time to polish what has zeros: a higher limit will do",
        "time to refit the best 1 of 2 configurations with zeros",
    ]
    assert [
        str(configuration).rpartition(" + ")[2] for found in result.found for configuration in found.configurations
    ] == ["refit"]
    weak = train(problem, [Configuration((L1(0.0),))], steps=5).result()  # without a polish there are no zeros to hold
    assert debias(problem, weak, BOTH, budget=Budget(110)).found == []
    none = debias(problem, trained, BOTH, budget=Budget(1e-9))
    assert none.found == []
    assert none.notes == [f"too little time to {stage} what has zeros: a higher limit will do" for stage in BOTH]


SMALL: dict[str, Any] = {
    "n_configurations": 8,
    "n_rounds": 1,
    "cv": 2,
    "hidden": (8,),
    "max_steps": 120,
    "time_limit": None,
    "random_state": 0,
}
RNG = np.random.default_rng(1)
X = RNG.normal(size=(150, 5))
SIGNAL = X[:, 0] - X[:, 1] + 0.5 * RNG.normal(size=150)
KINDS = pytest.mark.parametrize(
    ("kind", "y"), [(ThinNetClassifier, (SIGNAL > 0).astype(int)), (ThinNetRegressor, 10 * SIGNAL)]
)
Y = (SIGNAL > 0).astype(int)


@pytest.mark.slow
@KINDS
def test_what_is_debiased_stands_beside_what_it_comes_from(kind: type, y: np.ndarray) -> None:
    plain = kind(**SMALL).fit(X, y)
    model = kind(**SMALL, polish=True, refit=True).fit(X, y)
    board = model.leaderboard_.set_index("regularizers")
    own = [name for name in board.index if "polish" not in name]
    # the population itself is the same
    shown = ["train", "held_out", "zeros", "epochs"]
    pd.testing.assert_frame_equal(board.loc[own, shown], plain.leaderboard_.set_index("regularizers")[shown])
    sharp = [name for name in own if name.startswith(("L1", "elastic net", "group lasso"))]
    assert len(sharp) == 3
    after = {f"{name} + polish": f"{name} + polish + refit" for name in sharp}
    assert set(board.index) - set(own) == {*after.keys(), *after.values()}
    zeros = board["zeros"]
    assert all(zeros[polished] == zeros[refit] for polished, refit in after.items())
    assert all(zeros[f"{name} + polish"] >= zeros[name] for name in sharp)
    assert sum(zeros[name] for name in after) > sum(zeros[name] for name in sharp)
    assert board["weight"].sum() == pytest.approx(1)
    # greedy selection starts at the best single one; temperatures and the mean over rows, not folds, differ a little
    assert model.held_out_score_ <= board["held_out"].min() * 1.02
    assert model.facts_["networks"] == "8 configurations of regularizers in 2 folds"
    assert model.notes_ == []


def test_no_option_no_change_and_one_option_one_row_a_configuration() -> None:
    names = ThinNetClassifier(**SMALL, refit=True).fit(X, Y).leaderboard_["regularizers"]
    assert sum(name.endswith(" + refit") for name in names) == len(names) - 8 > 0
    names = ThinNetClassifier(**SMALL, polish=True).fit(X, Y).leaderboard_["regularizers"]
    assert sum(name.endswith(" + polish") for name in names) == len(names) - 8 == 3


def test_nothing_to_debias_is_a_note() -> None:
    model = ThinNetRegressor(**SMALL | {"n_configurations": 4}, refit=True).fit(X, SIGNAL)
    assert model.notes_ == ["no configuration has zeros: there was none to refit"]
    assert len(model.leaderboard_) == 4


@pytest.mark.parametrize("name", ["polish", "refit"])
def test_an_option_is_on_or_off(name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be True or False, got 'yes'\."):
        ThinNetClassifier(**SMALL, **{name: "yes"}).fit(X, Y)


def at(phase: str, act: Callable[[], None]) -> Callable[[Progress], None]:
    def callback(progress: Progress) -> None:
        if progress.phase == phase and progress.fraction > (0.75 if phase == "polishing" else 0.9):
            act()

    return callback


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["polishing", "refitting"])
def test_ctrl_c_ends_it_and_what_stood_before_counts(phase: str, tmp_path: Path) -> None:
    options = SMALL | {"polish": phase == "polishing", "refit": True}
    straight = ThinNetClassifier(**options).fit(X, Y)
    file = tmp_path / "fit.checkpoint"
    first = ThinNetClassifier(**options, checkpoint=file, callback=at(phase, interrupt))
    with pytest.raises(KeyboardInterrupt):
        first.fit(X, Y)
    assert len(first.leaderboard_) == 8
    assert np.isfinite(first.predict_proba(X)).all()
    assert first.notes_[-1] == "training was interrupted: this is the best found until then"
    second = ThinNetClassifier(**options, checkpoint=file).fit(X, Y)
    assert not file.exists()
    assert_array_equal(second.predict_proba(X), straight.predict_proba(X))
    pd.testing.assert_frame_equal(second.leaderboard_, straight.leaderboard_)


@pytest.mark.slow
def test_a_fit_that_is_killed_while_it_refits_trains_no_population_again(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill() -> None:
        raise KilledError

    file = tmp_path / "fit.checkpoint"
    straight = ThinNetRegressor(**SMALL, refit=True).fit(X, SIGNAL)
    with pytest.raises(KilledError):
        ThinNetRegressor(**SMALL, refit=True, checkpoint=file, callback=at("refitting", kill)).fit(X, SIGNAL)
    seen: list[Progress] = []
    second = ThinNetRegressor(**SMALL, refit=True, checkpoint=file, callback=seen.append).fit(X, SIGNAL)
    assert len([p for p in seen if p.phase == "training"]) == 1
    assert_array_equal(second.predict(X), straight.predict(X))
    with pytest.raises(KilledError):
        ThinNetRegressor(**SMALL, refit=True, checkpoint=file, callback=at("refitting", kill)).fit(X, SIGNAL)
    with pytest.raises(ValueError, match="belongs to another table, other parameters or another seed"):
        ThinNetRegressor(**SMALL, checkpoint=file).fit(X, SIGNAL)


@pytest.mark.slow
@pytest.mark.parametrize("time_limit", [None, 20.0])
def test_progress_goes_forward_through_every_phase(time_limit: float | None) -> None:
    seen: list[Progress] = []
    settings = SMALL | {"time_limit": time_limit, "n_rounds": 2, "callback": seen.append}
    ThinNetClassifier(**settings, polish=True, refit=True).fit(X, Y)
    phases = ["training", "refining", "polishing", "refitting", "selecting the ensemble"]
    assert list(dict.fromkeys(p.phase for p in seen)) == phases
    fractions = [p.fraction for p in seen]
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert fractions == sorted(fractions)
    assert max(p.fraction for p in seen if p.phase == "refining") == pytest.approx(0.7)
    best = [p.best for p in seen if p.best is not None]
    assert best == sorted(best, reverse=True)


@pytest.mark.slow
@KINDS
def test_a_refit_is_saved_reported_and_compacted(
    kind: type, y: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last(oof: np.ndarray, *_: object) -> np.ndarray:
        return np.eye(len(oof))[-1]

    monkeypatch.setattr("thinnet.tabular._select.greedy_selection", last)
    monkeypatch.setattr(
        "thinnet.tabular._fit.population",
        lambda *_, **__: [Configuration(), Configuration((GroupLasso(0.008, by="outputs"),), lr=1e-2)],
    )
    model = kind(**SMALL, refit=True).fit(X, y)
    row = model.leaderboard_.set_index("weight").loc[1.0]
    assert row["regularizers"].endswith(" + refit")
    dead = sum(int((w == 0).all(-1).sum()) for block in model.model_.ensemble.blocks for w in block.weights[:-1])
    assert 0 < dead < 16
    back = load(model.save(tmp_path / "model"))
    assert (back.polish, back.refit) == (False, True)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["format"] == 4
    assert_array_equal(back.predict(X), model.predict(X))
    pd.testing.assert_frame_equal(back.leaderboard_, model.leaderboard_)
    assert "refit" in back.report(tmp_path / "report.html").read_text(encoding="utf-8")
    small, report = back.compact()
    assert report.nodes[0] - report.nodes[1] >= dead
    np.testing.assert_allclose(small.predict(X), model.predict(X), rtol=1e-4, atol=1e-5)
