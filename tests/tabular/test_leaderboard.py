from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from thinnet.tabular._leaderboard import leaderboard, shown
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

CONFIGURATIONS = [
    Configuration(dropout=0.5, lr=1e-3),
    Configuration(lr=1e-2),
    Configuration(encodings=("slow",)),
    Configuration(dropout=0.1, lr=1e20),
]
WEIGHTS = np.array([0.3, 0.7, 0.0, 0.0])


@pytest.fixture
def problem(make_problem: Callable[..., Problem]) -> Problem:
    return make_problem(1)


@pytest.fixture
def trained(problem: Problem, train: Callable[..., Training]) -> Trained:
    trained = train(problem, CONFIGURATIONS).result()
    assert trained.complete == [True, True, True, False]
    return trained


def units(loss: float) -> float:
    return 10 * loss**0.5


def board(problem: Problem, trained: Trained) -> pd.DataFrame:
    """By learning rate, which differs from configuration to configuration."""
    return leaderboard(problem, trained, WEIGHTS, units).set_index("learning_rate")


def test_the_best_comes_first_and_the_incomplete_last(problem: Problem, trained: Trained) -> None:
    rows = leaderboard(problem, trained, WEIGHTS, units)
    assert rows["rank"].tolist() == [1, 2, 3, 4]
    scores = rows["held_out"].tolist()
    assert scores[:3] == sorted(scores[:3])
    assert rows["learning_rate"].tolist()[3] == 1e20
    assert rows.set_index("learning_rate")["weight"].to_dict() == {1e-3: 0.3, 1e-2: 0.7, 3e-3: 0.0, 1e20: 0.0}
    assert set(rows["regularizers"]) == {"dropout 0.5", "none", "dropout 0.1"}


def test_scores_are_means_over_folds_in_the_users_units(problem: Problem, trained: Trained) -> None:
    rows = board(problem, trained)
    for m, configuration in enumerate(CONFIGURATIONS[:3]):
        traces = [t for t in trained.traces if t.configuration == m]
        row = rows.loc[configuration.lr]
        assert row.held_out == pytest.approx(10 * np.sqrt(sum(min(t.held_out) for t in traces) / 3))
        at_best = [int(np.argmin(t.held_out)) for t in traces]
        assert row.train == pytest.approx(
            10 * np.sqrt(np.mean([t.train[b] for t, b in zip(traces, at_best, strict=True)]))
        )
        assert row.epochs == pytest.approx(np.mean([t.epochs[b] for t, b in zip(traces, at_best, strict=True)]))
        assert row.gap == row.held_out - row.train


def test_a_configuration_without_a_score_in_every_fold_has_none(problem: Problem, trained: Trained) -> None:
    row = board(problem, trained).loc[1e20]
    assert np.isnan([row.train, row.held_out, row.gap]).all()
    assert row.epochs == 0
    partly = trained.traces[0]
    partly.best, partly.held_out, partly.train = -1, [float("nan")], [float("nan")]
    row = board(problem, trained).loc[1e-3]
    assert np.isnan([row.held_out, row.gap]).all()
    assert np.isfinite(row.train)


def test_zeros_are_counted_exactly_among_the_weights_that_can_be_seen(problem: Problem, trained: Trained) -> None:
    first, second = trained.stack.weights  # (members, 8, 6) and (members, 1, 8)
    for weights in (first, second):
        weights.data.fill_(1.0)
    first.data[0, 2, :5] = 0  # configuration 0, fold 0: 5 of 56
    second.data[2, 0, :3] = 0  # configuration 0, fold 2: 3 of 56
    first.data[3:6, :, 0] = -0.0  # configuration 1: 8 of 56 in every fold
    first.data[6:9, :, 3:] = 0  # configuration 2 never sees bins: none of the 8 · 3 + 8
    first.data[7, 0, :2] = 0  # but 2 of 32 in fold 1
    zeros = board(problem, trained)["zeros"]
    assert zeros[1e-3] == pytest.approx((5 / 56 + 3 / 56) / 3)
    assert zeros[1e-2] == pytest.approx(8 / 56)
    assert zeros[3e-3] == pytest.approx(2 / 32 / 3)


def test_encodings_name_what_the_table_has(problem: Problem, trained: Trained) -> None:
    encodings = board(problem, trained)["encodings"]
    assert encodings[1e-2] == "bins"
    assert encodings[3e-3] == "plain"  # there are no slow waves in this problem


def test_the_best_and_the_unregularized_are_shown(problem: Problem, trained: Trained) -> None:
    best = int(np.argmin(trained.scores()))
    curves, weights = shown(problem, trained, units)
    assert (
        [c.name for c in curves]
        == [w.name for w in weights]
        == [str(CONFIGURATIONS[m]) for m in dict.fromkeys([best, 1])]
    )
    member = trained.stack.member(3 * best)
    np.testing.assert_array_equal(weights[0].layers["layer 1"], member[0].weight.detach().numpy())
    np.testing.assert_array_equal(weights[0].layers["layer 2"], member[-1].weight.detach().numpy())
    traces = trained.traces[3 * best : 3 * best + 3]
    first = units(np.mean([t.held_out[0] for t in traces]))
    assert curves[0].held_out[0] == pytest.approx(first)
    assert len(curves[0].held_out) == min(len(t.held_out) for t in traces)
