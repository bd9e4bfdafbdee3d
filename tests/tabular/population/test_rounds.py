from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from thinnet import L1
from thinnet.tabular._budget import Budget
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._rounds import RoundPlan, plan_rounds, train_rounds
from thinnet.tabular.population._saved_trainings import SavedTrainings
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

SETTINGS = Settings(n_configurations=4, n_rounds=3, hidden=(8,), max_steps=40, batch_size=32, seed=0)
DENSE = [Configuration(dropout=rate / 20) for rate in range(8)]
SPARSE = [*DENSE[:7], Configuration((L1(1e-3),))]


def plan(problem: Problem, configurations: list[Configuration], limit: float | None, **changes: Any) -> RoundPlan:
    budget = Budget(limit)
    return plan_rounds(problem, replace(SETTINGS, **changes), configurations, budget, SavedTrainings(None, budget))


def test_without_a_limit_all_is_trained(make_problem: Callable[..., Problem]) -> None:
    found = plan(make_problem(), DENSE, None)
    assert (found.configurations, found.rounds, found.later) == (DENSE, 3, 4)


@pytest.mark.parametrize(
    ("trainings", "count", "rounds"), [(0.1, 6, 1), (0.8, 6, 1), (0.95, 7, 1), (1.5, 8, 1), (2.5, 8, 2), (50, 8, 3)]
)
def test_short_time_takes_rounds_first_and_then_configurations(
    make_problem: Callable[..., Problem],
    monkeypatch: pytest.MonkeyPatch,
    trainings: float,
    count: int,
    rounds: int,
) -> None:
    monkeypatch.setattr(Training, "step_seconds", lambda self: 1.0)
    # 40 steps, that is half as many seconds with the halvings, and 0.05 of the time for the selection
    found = plan(make_problem(), DENSE, trainings * 20 / 0.95 + 0.2)
    assert (len(found.configurations), found.rounds) == (count, rounds)
    assert found.configurations == DENSE[:count]


@pytest.mark.parametrize(("configurations", "share"), [(DENSE, 0.0), (SPARSE, 0.3)])
def test_time_for_stages_is_kept_where_a_configuration_makes_zeros(
    make_problem: Callable[..., Problem], configurations: list[Configuration], share: float
) -> None:
    found = plan(make_problem(), configurations, 1e6, stages=("polish", "refit"))
    assert found.time.stage_share == share
    assert plan(make_problem(), configurations, 1e6).time.stage_share == 0


def run(problem: Problem, settings: Settings, configurations: list[Configuration], **options: Any) -> Trained:
    budget = Budget(None)
    saved = SavedTrainings(None, budget)
    plan = plan_rounds(problem, settings, configurations, budget, saved)
    tell = options.get("tell", lambda *_: None)
    return train_rounds(problem, settings, plan, saved, tell, options.get("stop", lambda: False))


def test_later_rounds_vary_the_best_and_show_what_its_regularizers_do(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem()
    # one that learns and three that do not
    first = [Configuration((L1(1e-4),), lr=1e-2), *(Configuration(dropout=0.5, lr=1e-9) for _ in range(3))]
    trained = run(problem, replace(SETTINGS, n_rounds=2, max_steps=80), first)
    assert trained.configurations[:4] == first
    child, twin = trained.configurations[4:]
    assert [type(rule) for rule in child.rules] == [L1] or child.dropout > 0
    assert twin == Configuration(lr=1e-2)
    assert np.isfinite(trained.scores()).all()


def test_the_seed_decides_the_variations(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem()
    one, again, other = (run(problem, replace(SETTINGS, seed=seed), SPARSE[4:]).configurations for seed in (1, 1, 2))
    assert one == again
    assert one[:4] == other[:4]
    assert one[4:] != other[4:]


def test_rounds_end_where_every_network_diverged_or_a_stop_is_asked_for(make_problem: Callable[..., Problem]) -> None:
    diverged = run(make_problem(1), SETTINGS, [Configuration(lr=1e20)] * 2)
    assert diverged.complete == [False, False]
    told: list[str] = []
    stopped = run(
        make_problem(),
        SETTINGS,
        DENSE[:4],
        tell=lambda phase, *_: told.append(phase),
        stop=lambda: "refining" in told,
    )
    assert len(stopped.configurations) == 6
    assert stopped.complete == [True] * 4 + [False] * 2
    assert told[-1] == "refining"


def test_progress_is_that_of_all_rounds(make_problem: Callable[..., Problem]) -> None:
    told: list[tuple[str, float, int, float]] = []
    run(make_problem(), SETTINGS, DENSE[:4], tell=lambda *progress: told.append(progress))
    fractions = [fraction for _, fraction, _, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(1)
    assert max(f for phase, f, _, _ in told if phase == "training") == pytest.approx(1 / 3)
    assert told[0][3] == float("inf")
