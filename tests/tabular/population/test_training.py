from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from thinnet import L1, L2, MaxNorm, WeightDecay
from thinnet.stack import predict
from thinnet.tabular._budget import Budget
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._training import Training

Make, Train = Callable[..., Problem], Callable[..., Training]

CONFIGURATIONS = [
    Configuration(),
    Configuration(dropout=0.3),
    Configuration((L2(1e-2),), encodings=()),
    Configuration((L1(1e-3), MaxNorm(1.0)), lr=1e-2),
]
TASKS = pytest.mark.parametrize("classes", [1, 3])


def loss_of(problem: Problem, outputs: torch.Tensor, rows: np.ndarray) -> float:
    y = problem.y_N[torch.from_numpy(rows)]
    return float(F.cross_entropy(outputs, y) if problem.classification else F.mse_loss(outputs[:, 0], y))


@TASKS
def test_the_best_moment_gives_the_recorded_losses_and_predictions(
    classes: int, make_problem: Make, train: Train
) -> None:
    problem = make_problem(classes)
    trained = train(problem, CONFIGURATIONS).result()
    assert trained.complete == [True] * 4
    for k, trace in enumerate(trained.traces):
        assert (trace.configuration, trace.fold) == divmod(k, 3)
        assert trace.score == min(trace.held_out) == trace.held_out[trace.best]
        rows = np.flatnonzero(problem.fold_N == trace.fold)
        with torch.no_grad():
            outputs = trained.stack.member(k)(problem.x_ND[torch.from_numpy(rows)])
        assert loss_of(problem, outputs, rows) == pytest.approx(trace.score, rel=1e-5)
        expected = outputs.softmax(1) if problem.classification else outputs
        np.testing.assert_allclose(trained.oof_MNC[trace.configuration, rows], expected, rtol=1e-4, atol=1e-6)
    by_hand = [np.mean([t.score for t in trained.traces if t.configuration == m]) for m in range(4)]
    np.testing.assert_allclose(trained.scores(), by_hand)


@TASKS
def test_it_learns(classes: int, make_problem: Make, train: Train) -> None:
    guessing = np.log(3) if classes == 3 else 1.0
    scores = (
        train(
            make_problem(classes),
            [replace(configuration, lr=0.02, encodings=("bins",)) for configuration in CONFIGURATIONS],
        )
        .result()
        .scores()
    )
    assert (scores < 0.8 * guessing).all()


def stopped_early(problem: Problem, steps: int = 30) -> Training:
    """The first steps of a long training: nothing is halved, and no member stops."""
    training = Training(
        problem,
        CONFIGURATIONS,
        hidden=(8,),
        batch_size=32,
        schedule=Schedule(10_000, Budget(None)),
        seed=0,
        stop=lambda: training.schedule.step >= steps,
    )
    training.run()
    assert training.schedule.step == steps
    assert len(training.alive) == len(CONFIGURATIONS) * problem.folds
    return training


@TASKS
def test_members_never_learn_from_their_held_out_rows(classes: int, make_problem: Make) -> None:
    problem = make_problem(classes)
    held_out = torch.from_numpy(problem.fold_N == 1)
    y, x = problem.y_N.clone(), problem.x_ND.clone()
    y[held_out] = (y[held_out] + 1) % 3 if classes == 3 else 1000.0
    x[held_out] *= -5
    one, other = stopped_early(problem), stopped_early(replace(problem, y_N=y, x_ND=x))
    assert one.alive == other.alive
    for position, k in enumerate(one.alive):
        same = all(
            torch.equal(a[position], b[position])
            for a, b in zip(one.stack.parameters(), other.stack.parameters(), strict=True)
        )
        assert same == (one.traces[k].fold == 1)


def test_a_member_never_sees_the_encodings_that_its_configuration_leaves_out(make_problem: Make, train: Train) -> None:
    problem = make_problem(1)
    trained = train(problem, [Configuration(encodings=()), Configuration(encodings=("bins",))]).result()
    changed = problem.x_ND.clone()
    changed[:, 3:] += 1
    same = [
        torch.equal(a, b) for a, b in zip(*(predict(trained.stack, x) for x in (problem.x_ND, changed)), strict=True)
    ]
    assert same == [True] * 3 + [False] * 3


def test_a_diverging_configuration_leaves_and_harms_no_other(make_problem: Make, train: Train) -> None:
    problem = make_problem(1)
    fine = [Configuration(), Configuration((WeightDecay(0.1),))]
    alone = train(problem, fine)
    training = train(problem, [*fine, Configuration(lr=1e20)])
    trained = training.result()
    assert trained.complete == [True, True, False]
    assert np.isfinite(trained.scores()).tolist() == [True, True, False]
    assert [trace.best for trace in trained.traces[6:]] == [-1] * 3
    assert all(len(trace.held_out) < 10 for trace in trained.traces[6:])
    np.testing.assert_allclose(trained.scores()[:2], alone.result().scores(), rtol=1e-3)
    assert all(p.isfinite().all() for p in training.stack.parameters())


def test_the_worse_half_leaves_at_a_rung_and_the_unregularized_stays(make_problem: Make, train: Train) -> None:
    # learning rates of nothing: ranked by how little they do
    configurations = [Configuration(lr=1e-9)] + [
        Configuration((WeightDecay(1e-3),), lr=lr) for lr in (1e-2, 3e-3, 1e-8, 1e-9)
    ]
    lives: list[tuple[float, set[int]]] = []
    train(
        make_problem(1),
        configurations,
        steps=80,
        report=lambda t: lives.append((t.schedule.done, {t.traces[i].configuration for i in t.alive})),
    )
    before = [configurations for done, configurations in lives if done < 0.25]
    assert before
    assert all(configurations == {0, 1, 2, 3, 4} for configurations in before)
    after = next(configurations for done, configurations in lives if done >= 0.25)
    assert after >= {0, 1, 2}
    assert len(after) == 3


def test_the_seed_decides_everything(make_problem: Make, train: Train) -> None:
    a, b, c = (train(make_problem(3), CONFIGURATIONS, seed=seed).result().oof_MNC for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_one_evaluation_is_made_however_short_the_time(make_problem: Make, train: Train) -> None:
    training = train(make_problem(3), CONFIGURATIONS, schedule=Schedule(500, Budget(1e-9)))
    assert training.schedule.step == 1
    assert training.result().complete == [True] * 4
    assert all(len(trace.held_out) == 1 for trace in training.traces)


def test_a_full_batch_is_the_gradient_of_all_rows_however_many_parts_it_is_taken_in(
    make_problem: Make, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem(3)
    configurations = [Configuration((L1(1e-3),)), Configuration(label_smoothing=0.1)]
    whole = train(problem, configurations, steps=20, batch_size=120)
    assert whole.steps_an_epoch == 1
    monkeypatch.setattr("thinnet.tabular.population._training._ROWS_AT_A_TIME", 50)
    parts = train(problem, configurations, steps=20, batch_size=120)
    torch.testing.assert_close(list(parts.stack.parameters()), list(whole.stack.parameters()), rtol=1e-3, atol=1e-5)


@TASKS
def test_a_training_goes_on_from_the_best_moments_of_another(classes: int, make_problem: Make, train: Train) -> None:
    problem = make_problem(classes)
    first = train(problem, CONFIGURATIONS).result()
    start = first.part([3, 0])
    training = train(problem, start.configurations, start=start, schedule=Schedule(50, Budget(None)))
    for before, after, m in zip(start.traces[::3], training.traces[::3], [3, 0], strict=True):
        assert after.held_out[0] == before.score == first.traces[3 * m].score
        assert after.epochs[0] == before.epochs[before.best]
        assert after.epochs == sorted(after.epochs)
        assert after.score <= before.score
    # what a training of no effect leaves is the start
    still = train(
        problem, [replace(configuration, lr=1e-30) for configuration in start.configurations], start=start, steps=5
    ).result()
    torch.testing.assert_close(list(still.stack.parameters()), list(start.stack.parameters()), rtol=0, atol=0)
    np.testing.assert_array_equal(still.oof_MNC, start.oof_MNC)


def test_the_last_moment_is_kept_where_asked_for(make_problem: Make, train: Train) -> None:
    trained = train(make_problem(3), [Configuration(lr=3e-2)], steps=400, keep_last=True).result()
    assert all(trace.best == len(trace.held_out) - 1 for trace in trained.traces)
    assert any(trace.score > min(trace.held_out) for trace in trained.traces)
