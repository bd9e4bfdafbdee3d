"""The fit of an ensemble to encoded rows: train the population, select, describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from thinnet.errors import DataError
from thinnet.report import Curve, Weights
from thinnet.tabular._budget import Budget
from thinnet.tabular._leaderboard import Units, leaderboard, shown
from thinnet.tabular._progress import Progress, ProgressReporter
from thinnet.tabular._select import select
from thinnet.tabular._time_plan import TimePlan
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._interrupt import deferred_interrupt
from thinnet.tabular.population._polish_refit import Debiased, Debiasing
from thinnet.tabular.population._rounds import plan_rounds, train_rounds
from thinnet.tabular.population._sample_configurations import population
from thinnet.tabular.population._saved_trainings import SavedTrainings
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._trained_population import Floats, Trained


@dataclass(frozen=True, eq=False)
class Fitted:
    """The result of a fit.

    Attributes:
        ensemble: what predicts.
        leaderboard: a row for every configuration.
        curves: loss by epoch of the best configuration and of the unregularized one.
        weights: of the same two.
        oof_mean_NC: predictions of the ensemble for held-out rows.
        oof_variance_NC: their variance over its configurations.
        configurations: how many were trained, not counting what was polished or refit.
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
    metadata: str = "",
) -> Fitted:
    """Train a population on all folds, debias what is sparse, and select the ensemble.

    Args:
        problem: encoded rows, targets and folds.
        settings: how to train.
        budget: of the whole fit.
        units: from the trained loss to the score that is shown.
        callback: told of the progress.
        checkpoint: the file of the unfinished fit, if any.
        metadata: text that the checkpoint keeps beside the trainings.

    Raises:
        KeyboardInterrupt: asked for before anything was usable.
        DataError: every network diverged.
    """
    tell = ProgressReporter(callback, budget, units)
    rng = np.random.default_rng(settings.seed)
    first = population(
        settings.n_configurations, rows=len(problem.x_ND), classification=problem.classification, rng=rng
    )
    saved = SavedTrainings.of(checkpoint, problem, settings, first, budget, metadata)
    plan = plan_rounds(problem, settings, first, budget, saved)
    with deferred_interrupt() as interrupt:

        def stop() -> bool:
            return interrupt.asked

        trained = train_rounds(problem, settings, plan, saved, tell, stop)
        _check_usable(trained, interrupted=stop())
        count, notes = len(trained.configurations), []
        if settings.stages and not stop():
            saved.write(plan.rounds)  # a fit that is killed from here on trains no population again
            debiased = _debias(problem, settings, trained, plan.time, saved.best_score, tell, stop)
            notes += debiased.notes
            for found in debiased.found:
                trained.join(found)
        tell("selecting the ensemble", 1.0, 0, float(trained.scores().min()))
        selection = select(problem, trained)
        curves, weights = shown(problem, trained, units)
        board = leaderboard(problem, trained, selection.weights_M, units)
    if interrupt.asked:
        saved.write(plan.rounds)  # asked for after the last training, too
    notes += saved.close(remove=not interrupt.asked)
    return Fitted(
        selection.ensemble,
        board,
        curves,
        weights,
        selection.mean_NC,
        selection.variance_NC,
        count,
        interrupt.asked,
        notes,
    )


def _debias(
    problem: Problem,
    settings: Settings,
    trained: Trained,
    time: TimePlan,
    best: float,
    tell: Callable[[str, float, int, float], None],
    stop: Callable[[], bool],
) -> Debiased:
    """Polish and refit the sparse configurations, with their progress as part of the whole fit's."""

    def report(phase: str, share: float, members: int, score: float) -> None:
        tell(phase, time.stage_fraction(share), members, min(score, best))

    return Debiasing(problem, settings, report, stop).run(trained, time.stage_time())


def _check_usable(trained: Trained, *, interrupted: bool) -> None:
    if any(trained.complete):
        return
    if interrupted:
        raise KeyboardInterrupt
    raise DataError(
        "every network diverged: no held-out loss was finite. Look for extreme values in the table, or report "
        "this with the table's description."
    )
