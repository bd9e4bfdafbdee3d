"""Training of all configurations on all folds in one stack."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thinnet.search import keep_zeros
from thinnet.stack import Member, Stack, StackAdam
from thinnet.tabular.columns._encoder import ALWAYS_SEEN
from thinnet.tabular.population._best_members import BestMembers
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._early_stopping import better_half, stalled
from thinnet.tabular.population._evaluation import Evaluation
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._minibatches import Minibatches
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._trained_population import Trace, Trained

_MOMENTS = ("exp_avg", "exp_avg_sq")

_ROWS_AT_A_TIME = 4096


class Training:
    """Training of configurations on all folds; `run` may be interrupted: `result` is usable after the first evaluation.

    Args:
        problem: what to learn.
        configurations: what to train; each once per fold.
        hidden: units of each hidden layer.
        batch_size: rows a step; all of them are a full-batch training.
        schedule: when it ends.
        seed: of everything random.
        report: called after every evaluation.
        stop: asked before every step whether to end.
        start: configurations in all folds whose best moments these go on from, one by one; None is from scratch.
        keep_last: whether members are remembered as they were last, not at their best.
        hold_zeros: whether weights that are exactly zero at the start stay so.
    """

    def __init__(
        self,
        problem: Problem,
        configurations: Sequence[Configuration],
        *,
        hidden: Sequence[int],
        batch_size: int,
        schedule: Schedule,
        seed: int,
        report: Callable[[Training], None] = lambda training: None,
        stop: Callable[[], bool] = lambda: False,
        start: Trained | None = None,
        keep_last: bool = False,
        hold_zeros: bool = False,
    ) -> None:
        self.problem, self.schedule, self.seed, self.report, self.stop = problem, schedule, seed, report, stop
        folds = [(configuration, fold) for configuration in configurations for fold in range(problem.folds)]
        members = [_member(configuration, problem, seed + i) for i, (configuration, _) in enumerate(folds)]
        stack = Stack(
            members,
            in_features=problem.x_ND.shape[1],
            hidden=hidden,
            out_features=problem.outputs,
            activation="silu",
        )
        self.best = BestMembers(problem, configurations, stack, start=start, keep_last=keep_last)
        # members that see the same inputs share products, those of a fold are evaluated together
        self.alive = sorted(
            range(len(folds)),
            key=lambda i: (folds[i][0].encodings, members[i].dropout == 0, folds[i][1], i),
        )
        self.stack = copy.deepcopy(stack).requires_grad_(True)
        self.stack.keep(self.alive)
        self.optimizer = StackAdam(self.stack, betas=(0.9, 0.99))
        self.kept = keep_zeros(self.stack, self.optimizer) if hold_zeros else None
        self.evaluation = Evaluation(problem, seed)
        self.minibatches = Minibatches(len(problem.x_ND), batch_size, seed=[seed, problem.folds])
        self.rungs = list(schedule.rungs)
        self.every = max(1, min(self.steps_an_epoch, schedule.total // 40), schedule.total // 60)

    def run(self) -> None:
        """Train to the schedule's end, or until every member has stopped."""
        # one evaluation at least, however short the time: without one there is nothing to predict with
        while self.alive and not self.stop() and not (self.schedule.over and self.schedule.step):
            start, first = time.monotonic(), self.schedule.step
            while self.schedule.step < min(first + self.every, self.schedule.total):
                self._step()
                if self.schedule.budget.left <= 0 or self.stop():
                    break
            self._evaluate()
            self.schedule.spent(self.schedule.step - first, time.monotonic() - start, len(self.alive))
            self._retire()
            self.report(self)

    @property
    def traces(self) -> list[Trace]:
        """The curve of every member, the folds of a configuration in turn."""
        return self.best.traces

    @property
    def steps_an_epoch(self) -> int:
        """Number of steps in which every row, but for a small rest, is seen once."""
        return self.minibatches.steps_an_epoch

    @property
    def best_score(self) -> float:
        """Least held-out loss of a configuration so far, the mean over its folds; infinite before the first."""
        return self.best.best_score

    def result(self) -> Trained:
        """Return the population at its best moments, apart from the training, which may be written or go on."""
        return self.best.result()

    def step_seconds(self, most: int | None = None) -> float:
        """Measure a step of at most so many rows: the median of three after a first one. The training is then void."""
        self.minibatches.size = min(self.minibatches.size, most or self.minibatches.size)
        seconds = []
        for _ in range(4):
            start = time.monotonic()
            self._step()
            seconds.append(time.monotonic() - start)
        return sorted(seconds[1:])[1]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that `restore` needs to go on as if nothing had happened."""
        tensors: dict[str, Tensor] = {f"best.{i}": p for i, p in enumerate(self.best.stack.parameters())}
        tensors["oof"] = torch.from_numpy(self.best.oof_MNC)
        for i, parameter in enumerate(self.stack.parameters() if self.alive else ()):
            tensors[f"stack.{i}"] = parameter
            moments = self.optimizer.state[parameter]  # none before the first step
            tensors |= {f"{name}.{i}": moments[name] for name in _MOMENTS if name in moments}
        return {name: t.detach() for name, t in tensors.items()}, {
            "alive": self.alive,
            "rungs": self.rungs,
            "step": self.schedule.step,
            "total": self.schedule.total,
            "every": self.every,
            "draws": int(self.stack.draws),
            "traces": [asdict(trace) for trace in self.traces],
        }

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Go back to a state that `state` gave."""
        if plain["alive"]:
            self.optimizer.keep([self.alive.index(i) for i in plain["alive"]])
        self.alive, self.rungs, self.every = list(plain["alive"]), list(plain["rungs"]), plain["every"]
        self.schedule.step, self.schedule.total = plain["step"], plain["total"]
        self.stack.draws.fill_(plain["draws"])
        self.best.traces = [Trace(**trace) for trace in plain["traces"]]
        for i, parameter in enumerate(self.best.stack.parameters()):
            parameter.data.copy_(tensors[f"best.{i}"])
        for i, parameter in enumerate(self.stack.parameters() if self.alive else ()):
            parameter.data.copy_(tensors[f"stack.{i}"])
            moments = {name: tensors[f"{name}.{i}"].clone() for name in _MOMENTS if f"{name}.{i}" in tensors}
            if moments:
                self.optimizer.state[parameter] = {"step": plain["step"], **moments}
        self.best.oof_MNC[:] = tensors["oof"].numpy()

    def _step(self) -> None:
        problem, members = self.problem, self.stack.members
        rows = self.minibatches.rows_of_step(self.schedule.step)
        weights_KB = problem.seen(np.array([self.traces[i].fold for i in self.alive]), rows)
        total_K = weights_KB.sum(1).clamp(min=1)
        smoothing_K = torch.tensor([m.label_smoothing for m in members])
        self.stack.train()
        self.optimizer.zero_grad()
        # in parts, as the activations of a full batch may be too many to hold
        parts = torch.split(torch.from_numpy(rows), _ROWS_AT_A_TIME)
        for index, part_KB in zip(parts, torch.split(weights_KB, _ROWS_AT_A_TIME, 1), strict=True):
            outputs = self.stack(problem.x_ND[index])
            loss_K = problem.losses(outputs, problem.y_N[index], part_KB, smoothing_K)
            (loss_K * part_KB.sum(1) / total_K).sum().backward()  # type: ignore[no-untyped-call]
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.lr_factor()
        self.optimizer.step()
        self.schedule.step += 1

    def _evaluate(self) -> None:
        epoch = self.schedule.step / self.steps_an_epoch
        for evaluated in self.evaluation(self.stack, [self.traces[i].fold for i in self.alive]):
            self.best.update(self.stack, self.alive, evaluated, epoch)

    def _retire(self) -> None:
        """Drop the members that have not improved for long, and at a rung the worse half of the configurations."""
        position = self.schedule.done
        stay = [i for i in self.alive if not stalled(self.traces[i], position)]
        if self.rungs and position >= self.rungs[0] and position < 1:
            self.rungs.pop(0)
            left = sorted({self.traces[i].configuration for i in stay})
            chosen = better_half(self.best.configurations, self.traces, left)
            stay = [i for i in stay if self.traces[i].configuration in chosen]
        elif len(stay) > 0.9 * len(self.alive):
            return  # repacking the stack costs more than a few idle members
        if stay:
            self._keep(stay)
        self.alive = stay

    def _keep(self, members: list[int]) -> None:
        """Train these members only; the zeros of the others are held no longer."""
        if self.kept is not None:
            self.kept.remove()
        self.optimizer.keep([self.alive.index(i) for i in members])
        if self.kept is not None:
            self.kept = keep_zeros(self.stack, self.optimizer)


def _member(configuration: Configuration, problem: Problem, seed: int) -> Member:
    seen_D = np.isin(problem.parts_D, [*configuration.encodings, *ALWAYS_SEEN])
    return Member(
        seed,
        configuration.lr,
        configuration.rule,
        configuration.dropout,
        label_smoothing=configuration.label_smoothing,
        inputs=None if seen_D.all() else tuple(seen_D.tolist()),
    )
