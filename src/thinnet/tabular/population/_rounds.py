"""Rounds of training: a first population, then variations of its best configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from thinnet.tabular._budget import Budget
from thinnet.tabular._time_plan import TimePlan
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._polish_refit import makes_zeros
from thinnet.tabular.population._sample_configurations import offspring
from thinnet.tabular.population._saved_trainings import SavedTrainings
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

_ENOUGH_STEPS, _ENOUGH_EPOCHS = 400, 3
"""Least steps and epochs of a training after which configurations can be told apart."""

_FEWEST = 6
"""Least number of configurations in the first round, however short the time."""

_PARENTS = 4
"""Number of best configurations that the next round starts from."""

_SEEDS_A_ROUND = 100_000


@dataclass(frozen=True)
class RoundPlan:
    """What is trained, and within what time.

    Args:
        configurations: of the first round; each further round has half as many.
        rounds: how many there are.
        time: what they, and all that follows, may take.
    """

    configurations: Sequence[Configuration]
    rounds: int
    time: TimePlan

    @property
    def later(self) -> int:
        """Number of configurations in each further round."""
        return max(1, len(self.configurations) // 2)


def plan_rounds(
    problem: Problem,
    settings: Settings,
    configurations: Sequence[Configuration],
    budget: Budget,
    saved: SavedTrainings,
) -> RoundPlan:
    """Plan as many rounds and configurations as fit into the time, or as many as the interrupted fit had.

    Args:
        problem: what to learn.
        settings: how to train.
        configurations: those of a first round for which there is time enough.
        budget: of the whole fit.
        saved: the trainings of the interrupted fit, if any.
    """
    if saved.unfinished:
        _, plain = saved.unfinished[0]
        configurations = configurations[: len(plain["traces"]) // problem.folds]
        return RoundPlan(configurations, plain["rounds"], _time_plan(settings, configurations, budget))
    time = _time_plan(settings, configurations, budget)
    if budget.limit is None:
        return RoundPlan(configurations, settings.n_rounds, time)
    count, rounds = _affordable(problem, configurations, settings, time.training_seconds)
    return RoundPlan(configurations[:count], rounds, time)


def train_rounds(
    problem: Problem,
    settings: Settings,
    plan: RoundPlan,
    saved: SavedTrainings,
    tell: Callable[[str, float, int, float], None],
    stop: Callable[[], bool],
) -> Trained:
    """Train round after round until all are trained, time is over or a stop is asked for.

    Args:
        problem: what to learn.
        settings: how to train.
        plan: what to train.
        saved: takes in every training.
        tell: called with the phase, the share of the fit done, the networks in training and the best loss.
        stop: asked before every step whether to end.

    Returns:
        The population of all rounds; no configuration in it is complete where no loss was finite.
    """

    def report(training: Training) -> None:
        finished = len(saved.trainings) - 1 + training.schedule.done
        phase = "training" if len(saved.trainings) == 1 else "refining"
        fraction = plan.time.training_fraction(finished, rounds=plan.rounds)
        tell(phase, fraction, len(training.alive), saved.best_score)
        saved.write_if_due(plan.rounds)

    trained: Trained | None = None
    for turn in range(plan.rounds):
        training = Training(
            problem,
            plan.configurations if trained is None else _variations(trained, plan.later, turn, settings.seed, problem),
            hidden=settings.hidden,
            batch_size=settings.batch_size,
            schedule=Schedule(settings.max_steps, plan.time.round_time(plan.rounds - turn)),
            seed=settings.seed + _SEEDS_A_ROUND * turn,
            report=report,
            stop=stop,
        )
        saved.add(training)
        report(training)
        training.run()
        if stop() and saved.trainings[0].schedule.step:
            saved.write(plan.rounds)
        if trained is None:
            trained = training.result()
        else:
            trained.join(training.result())
        if stop() or not any(trained.complete) or plan.time.budget.left <= 0:
            break
    assert trained is not None  # there is one round at least
    return trained


def _time_plan(settings: Settings, configurations: Sequence[Configuration], budget: Budget) -> TimePlan:
    stages = len(settings.stages) if any(map(makes_zeros, configurations)) else 0
    return TimePlan.of(budget, stages=stages)


def _affordable(
    problem: Problem, configurations: Sequence[Configuration], settings: Settings, seconds: float
) -> tuple[int, int]:
    """Count the configurations and rounds that time is enough for: first fewer rounds, then fewer configurations."""
    probe = Training(
        problem,
        configurations,
        hidden=settings.hidden,
        batch_size=settings.batch_size,
        schedule=Schedule(settings.max_steps, Budget(None)),
        seed=settings.seed,
    )
    enough = min(settings.max_steps, max(_ENOUGH_STEPS, _ENOUGH_EPOCHS * probe.steps_an_epoch))
    # halved at the rungs, a training costs about half of what its first step says
    trainings = seconds / (0.5 * enough * probe.step_seconds())
    count = max(int(len(configurations) * min(trainings, 1.0)), min(_FEWEST, len(configurations)))
    return count, max(1, min(settings.n_rounds, int(trainings)))


def _variations(trained: Trained, count: int, turn: int, seed: int, problem: Problem) -> list[Configuration]:
    """Vary the best configurations; the last is the best one without its regularizers, to show what they do."""
    ranked = np.argsort(trained.scores(), kind="stable")
    parents = [trained.configurations[m] for m in ranked[:_PARENTS]]
    rng = np.random.default_rng([seed, turn])
    configurations = offspring(parents, count, classification=problem.classification, rng=rng)
    if count > 1 and parents[0].regularized:
        configurations[-1] = Configuration(lr=parents[0].lr, encodings=parents[0].encodings)
    return configurations
