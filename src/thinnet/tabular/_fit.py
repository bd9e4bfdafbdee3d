"""From encoded rows to an ensemble: train the population, select, describe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from thinnet.errors import DataError
from thinnet.report import Curve, Weights
from thinnet.tabular._budget import Budget
from thinnet.tabular._checkpoint import Checkpoint
from thinnet.tabular._leaderboard import Units, leaderboard, shown
from thinnet.tabular._progress import Progress
from thinnet.tabular._select import select
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._interrupt import deferred_interrupt
from thinnet.tabular.population._polish_refit import SHARE, Debiasing, makes_zeros
from thinnet.tabular.population._sampling import offspring, population
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._trained_population import Floats, Trained
from thinnet.tabular.population._training import Training

_FINISHING = 0.05
"""Share of the time kept back for selection and what follows."""

_ENOUGH_STEPS, _ENOUGH_EPOCHS = 400, 3
"""The shortest training after which configurations can be told apart."""

_FEWEST = 6
"""Configurations that are trained however short the time."""

_PARENTS = 4
"""How many of the best configurations the next round starts from."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What came out.

    Attributes:
        ensemble: predicts.
        leaderboard: every configuration.
        curves: of the best and the unregularized configuration.
        weights: of the same.
        oof_mean_NC: the ensemble's predictions for rows that the predicting members never saw.
        oof_variance_NC: the variance over its configurations of the same.
        configurations: how many were trained, those that a stage made of them not counted.
        interrupted: whether Ctrl-C ended it.
        notes: what went wrong on the way, if anything.
    """

    ensemble: Ensemble
    leaderboard: pd.DataFrame
    curves: list[Curve]
    weights: list[Weights]
    oof_mean_NC: Floats
    oof_variance_NC: Floats
    configurations: int
    interrupted: bool
    notes: list[str]


def fit_population(
    problem: Problem,
    settings: Settings,
    budget: Budget,
    units: Units,
    callback: Callable[[Progress], object] | None,
    checkpoint: str | Path | None = None,
    memo: str = "",
) -> Fitted:
    """Train, select and describe; the checkpoint keeps `memo`, what was found out before.

    Raises:
        KeyboardInterrupt: asked for before anything was usable.
        DataError: every network diverged.
    """
    furthest = 0.0

    def tell(phase: str, fraction: float, members: int, best: float) -> None:
        nonlocal furthest
        furthest = fraction = max(furthest, fraction)  # a training that grows again takes nothing back
        if callback is not None:
            elapsed = budget.elapsed
            left = min(elapsed * (1 - fraction) / max(fraction, 1e-3), max(budget.left, 0.0))
            score = units(best) if np.isfinite(best) else None
            callback(Progress(phase, fraction, members, score, elapsed, left))

    rng = np.random.default_rng(settings.seed)
    configurations = population(
        settings.n_mixes, rows=len(problem.x_ND), classification=problem.classification, rng=rng
    )
    file = _checkpoint(checkpoint, problem, settings, configurations, memo)
    unfinished = file.load() if file else []
    budget.start -= unfinished[-1][1]["elapsed"] if unfinished else 0.0
    rounds = settings.n_rounds
    if unfinished:
        configurations, rounds = (
            configurations[: len(unfinished[0][1]["traces"]) // problem.folds],
            unfinished[0][1]["rounds"],
        )
    later_share = SHARE * len(settings.stages) if any(map(makes_zeros, configurations)) else 0.0
    kept = 0.0 if budget.limit is None else later_share * max(budget.left, 0.0)
    if not unfinished and budget.limit is not None:
        configurations, rounds = _affordable(problem, configurations, settings, (budget.left - kept) * (1 - _FINISHING))
    later = max(1, len(configurations) // 2)
    trainings: list[Training] = []
    trained: Trained | None = None

    def write() -> None:
        if file:
            extra = {"elapsed": budget.elapsed, "rounds": rounds}
            states = [training.state() for training in trainings]
            file.save([(tensors, {**plain, **extra}) for tensors, plain in states])

    def report(training: Training) -> None:
        done = (1 - later_share) * (len(trainings) - 1 + training.schedule.done) / rounds
        best = min(t.best_score for t in trainings)
        tell("training" if len(trainings) == 1 else "refining", done, len(training.alive), best)
        if file and file.due:
            write()

    def go_on(phase: str, share: float, members: int, best: float) -> None:
        best = min(best, *(t.best_score for t in trainings))
        tell(phase, 1 - later_share * (1 - share), members, best)

    with deferred_interrupt() as interrupt:
        for turn in range(rounds):
            if trained is not None:
                ranked = np.argsort(trained.scores(), kind="stable")
                parents = [trained.configurations[m] for m in ranked[:_PARENTS]]
                rng = np.random.default_rng([settings.seed, turn])
                configurations = offspring(parents, later, classification=problem.classification, rng=rng)
                if later > 1 and parents[0].regularized:
                    # the best one without its regularizers says what they did: all else is the same
                    configurations[-1] = Configuration(lr=parents[0].lr, encodings=parents[0].encodings)
            training = Training(
                problem,
                configurations,
                hidden=settings.hidden,
                batch_size=settings.batch_size,
                schedule=Schedule(settings.max_steps, budget.part((1 - _FINISHING) / (rounds - turn), keep=kept)),
                seed=settings.seed + 100_000 * turn,
                report=report,
                stop=lambda: interrupt.asked,
            )
            trainings.append(training)
            if turn < len(unfinished):
                training.restore(*unfinished[turn])
            report(training)
            training.run()
            if interrupt.asked and trainings[0].schedule.step:
                write()
            if trained is None:
                trained = training.result()
            else:
                trained.join(training.result())
            if interrupt.asked or not any(trained.complete) or budget.left <= 0:
                break
        assert trained is not None  # there is one round at least
        if interrupt.asked and not any(trained.complete):
            raise KeyboardInterrupt
        if not any(trained.complete):
            raise DataError(
                "every network diverged: no held-out loss was finite. Look for extreme values in the table, or report "
                "this with the table's description."
            )
        configurations_trained, notes = len(trained.configurations), []
        if settings.stages and not interrupt.asked:
            write()  # a fit that is killed from here on trains no population again
            debiased = Debiasing(problem, settings, go_on, lambda: interrupt.asked).run(
                trained, budget.part(1 - _FINISHING)
            )
            notes += debiased.notes
            for found in debiased.found:
                trained.join(found)
        tell("selecting the ensemble", 1.0, 0, float(trained.scores().min()))
        ensemble, weights_M, mean_NC, variance_NC = select(problem, trained)
        curves, weights = shown(problem, trained, units)
        board = leaderboard(problem, trained, weights_M, units)
    if interrupt.asked:
        write()  # asked for after the last training, too
    elif file:
        file.remove()
    if file and file.failure:
        notes.append(f"the checkpoint could not be written: {file.failure}")
    return Fitted(
        ensemble, board, curves, weights, mean_NC, variance_NC, configurations_trained, interrupt.asked, notes
    )


def _affordable(
    problem: Problem, configurations: list[Configuration], settings: Settings, seconds: float
) -> tuple[list[Configuration], int]:
    """Fewer rounds, then fewer configurations, where time is too short to tell them all apart."""
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
    return configurations[:count], max(1, min(settings.n_rounds, int(trainings)))


def _checkpoint(
    path: str | Path | None, problem: Problem, settings: Settings, configurations: Sequence[Configuration], memo: str
) -> Checkpoint | None:
    if path is None:
        return None
    arrays = (problem.x_ND.numpy(), problem.y_N.numpy(), problem.fold_N)
    return Checkpoint(
        path, *(array.tobytes() for array in arrays), repr((settings, configurations)).encode(), memo=memo
    )
