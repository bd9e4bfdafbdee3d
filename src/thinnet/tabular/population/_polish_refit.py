"""Debiasing of sparse configurations: polishing by proximal steps, and refitting without the sparsity penalty."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from thinnet.tabular._budget import Budget
from thinnet.tabular.population._configuration import Configuration, Stage
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

PHASES: dict[Stage, str] = {"polish": "polishing", "refit": "refitting"}

_POLISH_STEPS, _POLISH_LR = 30, 0.3
"""Full-batch steps and the share of the configuration's learning rate that they start from.

Enough for what noise holds off zero to get there; a network that was stopped early has overfitted at the optimum.
"""

_REFIT_SHARE = 0.25
"""Of the steps of a whole training, most that a refit takes."""

_FEWEST: dict[Stage, int] = {"polish": 15, "refit": 100}
"""Steps below which fewer configurations go on, so that those that do have these."""

_PROBED = 4096
"""Rows that say what a step on all of them takes: a few of those may take all the time there is."""


def makes_zeros(configuration: Configuration) -> bool:
    """Decide whether a rule of the configuration sets weights to exactly zero."""
    return any(rule.induces_zeros for rule in configuration.rules)


@dataclass(frozen=True, eq=False)
class Debiased:
    """The result of polishing and refitting.

    Args:
        found: a population for each stage, beside the one that it comes from.
        notes: what the reader should know of it.
    """

    found: list[Trained]
    notes: list[str]


class Debiasing:
    r"""Polishing and refitting, one after the other, of sparse configurations from their best evaluations.

    With data loss f on the rows that a member sees, nonsmooth penalties h, which make the zeros, and
    the rest r of its configuration,

    - polish: full-batch steps on f + r + h, dropout off, step size falling to zero: to where noise no longer hides
      that a weight should be zero;
    - refit: minibatch steps on f + r with :math:`w_i = 0` held where it is zero, kept at the best held-out loss, the
      start among it: the survivors lose what h shrank them by (the relaxed lasso).

    Args:
        problem: what to learn.
        settings: how the population was trained, and which stages there are.
        tell: called with the phase, the share done, the networks in training and the best loss.
        stop: asked before every step whether to end; a stage that is under way is then left out.

    References:
        N. Meinshausen, Relaxed Lasso, 2007.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        tell: Callable[[str, float, int, float], None],
        stop: Callable[[], bool],
    ) -> None:
        self.problem, self.settings, self.tell, self.stop = problem, settings, tell, stop

    def run(self, trained: Trained, budget: Budget) -> Debiased:
        """Debias copies of the configurations of a population; where time is short, of its best ones only."""
        asked = self.settings.stages
        able = _candidates(self.problem, trained, asked)
        if not able:
            return Debiased([], [f"no configuration has zeros: there was none to {' and '.join(asked)}"])
        best = trained.part(able[:1])
        counts = {stage: self._affordable(stage, best, budget.part(1 / len(asked))) for stage in asked}
        notes = [f"too little time to {s} what has zeros: a higher limit will do" for s in asked if not counts[s]]
        stages = tuple(stage for stage in asked if counts[stage])
        able = _candidates(self.problem, trained, stages)  # fewer, where nothing is polished
        if not (stages and able):
            return Debiased([], notes)
        count = min(counts[stage] for stage in stages)
        if count < len(able):
            notes.append(f"time to {' and '.join(stages)} the best {count} of {len(able)} configurations with zeros")
        start = trained.part(able[:count])
        configurations, found = list(start.configurations), []
        for turn, stage in enumerate(stages):
            training = self._training(stage, start, configurations, budget.part(1 / (len(stages) - turn)))
            training.report(training)
            training.run()
            if self.stop():
                break
            start = training.result()
            start.configurations = [
                replace(configuration, stages=stages[: turn + 1]) for configuration in configurations
            ]
            found.append(start)
        return Debiased(found, notes)

    def _training(
        self, stage: Stage, start: Trained, configurations: Sequence[Configuration], time: Budget
    ) -> Training:
        """Make the training of a stage, from the parameters of `start`."""
        settings, polish = self.settings, stage == "polish"
        turn = settings.stages.index(stage)
        steps = min(_POLISH_STEPS if polish else max(1, int(_REFIT_SHARE * settings.max_steps)), settings.max_steps)

        def report(training: Training) -> None:
            share = (turn + training.schedule.done) / len(settings.stages)
            best = math.inf if polish else training.best_score  # a polish counts where it ends
            self.tell(PHASES[stage], share, len(training.alive), best)

        return Training(
            self.problem,
            [_polished(configuration) if polish else _refit(configuration) for configuration in configurations],
            hidden=settings.hidden,
            batch_size=len(self.problem.x_ND) if polish else settings.batch_size,
            schedule=Schedule(steps, time, rungs=()),
            seed=settings.seed + 1_000_000 * (turn + 1),
            report=report,
            stop=self.stop,
            start=start,
            keep_last=polish,
            hold_zeros=not polish,
        )

    def _affordable(self, stage: Stage, best: Trained, time: Budget) -> int:
        """Count the configurations that the time is enough for."""
        if time.limit is None:
            return sys.maxsize
        if time.left <= 0:
            return 0
        probe = self._training(stage, best, best.configurations, time)
        steps, rows = min(_FEWEST[stage], probe.schedule.total), probe.minibatches.size
        probed = min(rows, _PROBED)
        seconds = probe.step_seconds(probed) * rows / probed
        # in a stack, each costs at most what one costs alone
        return int(max(time.left, 0.0) / (steps * seconds))


def _candidates(problem: Problem, trained: Trained, stages: tuple[Stage, ...]) -> list[int]:
    """Rank the configurations that can be debiased; without a polish, which makes zeros, those that have some."""
    able = [
        m
        for m, configuration in enumerate(trained.configurations)
        if trained.complete[m] and makes_zeros(configuration)
    ]
    if "polish" not in stages:
        able = [m for m in able if any(trained.zeros(m * problem.folds + f) for f in range(problem.folds))]
    scores = trained.scores()
    return sorted(able, key=lambda m: float(scores[m]))


def _polished(configuration: Configuration) -> Configuration:
    """Return the configuration for polishing: no dropout, and a smaller learning rate."""
    return replace(configuration, dropout=0.0, lr=_POLISH_LR * configuration.lr)


def _refit(configuration: Configuration) -> Configuration:
    """Return the configuration for refitting: without sparsity penalties."""
    return replace(configuration, rules=tuple(rule for rule in configuration.rules if not rule.induces_zeros))
