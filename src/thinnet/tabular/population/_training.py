"""Configurations times folds, trained in one stack."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thinnet.search import keep_zeros
from thinnet.stack import Member, Stack, StackAdam, predict
from thinnet.tabular.columns._encoder import ALWAYS_SEEN
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._early_stopping import better_half, stalled
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._trained_population import Trace, Trained

_MOMENTS = ("exp_avg", "exp_avg_sq")

_ROWS_AT_A_TIME = 4096
_CURVE_ROWS = 512


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
        self.problem, self.configurations, self.schedule, self.batch_size = (
            problem,
            list(configurations),
            schedule,
            batch_size,
        )
        self.report, self.stop, self.keep_last = report, stop, keep_last
        self.traces = [Trace(m, f) for m in range(len(configurations)) for f in range(problem.folds)]
        members = [self._member(self.configurations[t.configuration], seed + i) for i, t in enumerate(self.traces)]
        self.best = Stack(
            members,
            in_features=problem.x_ND.shape[1],
            hidden=hidden,
            out_features=problem.outputs,
            activation="silu",
        )
        shape = (len(configurations), len(problem.x_ND), problem.outputs)
        self.oof_MNC = np.full(shape, np.nan, dtype=np.float32)
        if start is not None:
            self.traces = [trace.resumed() for trace in start.traces]
            self.oof_MNC[:] = start.oof_MNC
            for own, theirs in zip(self.best.parameters(), start.stack.parameters(), strict=True):
                own.data.copy_(theirs.data)
        self.origins = [trace.epochs[0] if trace.epochs else 0.0 for trace in self.traces]
        # members that see the same inputs share products, those of a fold are evaluated together
        self.alive = sorted(
            range(len(self.traces)),
            key=lambda i: (
                self.configurations[self.traces[i].configuration].encodings,
                members[i].dropout == 0,
                self.traces[i].fold,
                i,
            ),
        )
        self.stack = copy.deepcopy(self.best)
        self.stack.keep(self.alive)
        self.optimizer = StackAdam(self.stack, betas=(0.9, 0.99))
        self.kept = keep_zeros(self.stack, self.optimizer) if hold_zeros else None
        self.best.requires_grad_(False).eval()
        self.seed = seed
        self.held_out = [np.flatnonzero(problem.fold_N == f) for f in range(problem.folds)]
        others = [np.flatnonzero(problem.fold_N != f) for f in range(problem.folds)]
        self.seen = [np.random.default_rng([seed, f]).permutation(rows)[:_CURVE_ROWS] for f, rows in enumerate(others)]
        self.rungs = list(schedule.rungs)
        whole, rest = divmod(len(problem.x_ND), batch_size)
        self.steps_an_epoch = whole + (whole == 0 or rest >= batch_size / 2)  # a smaller rest is left out
        self.every = max(1, min(self.steps_an_epoch, schedule.total // 40), schedule.total // 60)
        self.order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def _member(self, configuration: Configuration, seed: int) -> Member:
        seen_D = np.isin(self.problem.parts_D, [*configuration.encodings, *ALWAYS_SEEN])
        inputs = None if seen_D.all() else tuple(seen_D.tolist())
        return Member(
            seed,
            configuration.lr,
            configuration.rule,
            configuration.dropout,
            label_smoothing=configuration.label_smoothing,
            inputs=inputs,
        )

    def run(self) -> None:
        """Train to the schedule's end, or until every member has stopped."""
        # one evaluation at least, however short the time: without one there is nothing to predict with
        while self.alive and not self.stop() and not (self.schedule.over and self.schedule.step):
            start, first = time.monotonic(), self.schedule.step
            while self.schedule.step < min(first + self.every, self.schedule.total):
                self._step()
                if self.schedule.budget.left <= 0 or self.stop():
                    break
            self._evaluate(self.schedule.step / self.steps_an_epoch)
            self.schedule.spent(self.schedule.step - first, time.monotonic() - start, len(self.alive))
            self._retire()
            self.report(self)

    @property
    def best_score(self) -> float:
        """Best held-out loss of a configuration so far, the mean over its folds; infinite before the first."""
        scores = np.array([trace.score for trace in self.traces])
        return float(scores.reshape(len(self.configurations), -1).mean(1).min())

    def result(self) -> Trained:
        """The population at its best moments, apart from the training, which may be written or go on."""
        complete = [bool(np.isfinite(oof).all()) for oof in self.oof_MNC]
        return Trained(
            list(self.configurations), copy.deepcopy(self.best), list(self.traces), self.oof_MNC.copy(), complete
        )

    def step_seconds(self) -> float:
        """What a step takes, the median of three after a first one. Afterwards the training is of no other use."""
        seconds = []
        for _ in range(4):
            start = time.monotonic()
            self._step()
            seconds.append(time.monotonic() - start)
        return sorted(seconds[1:])[1]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that `restore` needs to go on as if nothing had happened."""
        tensors: dict[str, Tensor] = {f"best.{i}": p for i, p in enumerate(self.best.parameters())}
        tensors["oof"] = torch.from_numpy(self.oof_MNC)
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
        self.traces = [Trace(**trace) for trace in plain["traces"]]
        for i, parameter in enumerate(self.best.parameters()):
            parameter.data.copy_(tensors[f"best.{i}"])
        for i, parameter in enumerate(self.stack.parameters() if self.alive else ()):
            parameter.data.copy_(tensors[f"stack.{i}"])
            moments = {name: tensors[f"{name}.{i}"].clone() for name in _MOMENTS if f"{name}.{i}" in tensors}
            if moments:
                self.optimizer.state[parameter] = {"step": plain["step"], **moments}
        self.oof_MNC[:] = tensors["oof"].numpy()

    def _rows(self) -> np.ndarray:
        """The rows of this step, a function of its number alone: a training that goes on sees the same ones."""
        epoch, position = divmod(self.schedule.step, self.steps_an_epoch)
        if self.order[0] != epoch:
            rng = np.random.default_rng([self.seed, self.problem.folds, epoch])
            self.order = (epoch, rng.permutation(len(self.problem.x_ND)))
        return self.order[1][position * self.batch_size : (position + 1) * self.batch_size]

    def _step(self) -> None:
        problem, members, rows = self.problem, self.stack.members, self._rows()
        fold_K = np.array([self.traces[i].fold for i in self.alive])
        weights_KB = torch.from_numpy((fold_K[:, None] != problem.fold_N[rows]).astype(np.float32))
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

    @torch.no_grad()
    def _evaluate(self, epoch: float) -> None:
        """Every member on its held-out rows; those that are better than ever are remembered."""
        self.stack.eval()
        problem = self.problem
        for members, fold in _runs([self.traces[i].fold for i in self.alive]):
            held_out = predict(self.stack, problem.x_ND[self.held_out[fold]], members)
            losses_K = problem.losses(held_out, problem.y_N[self.held_out[fold]]).tolist()
            seen = predict(self.stack, problem.x_ND[self.seen[fold]], members)
            train_K = problem.losses(seen, problem.y_N[self.seen[fold]]).tolist()
            better = []
            for k, (loss, train) in enumerate(zip(losses_K, train_K, strict=True)):
                trace = self.traces[self.alive[members.start + k]]
                trace.epochs.append(self.origins[self.alive[members.start + k]] + epoch)
                trace.train.append(train)
                trace.held_out.append(loss)
                if loss < trace.score or (self.keep_last and math.isfinite(loss)):
                    trace.best = len(trace.held_out) - 1
                    better.append(k)
            if better:
                configurations = [self.traces[self.alive[members.start + k]].configuration for k in better]
                self.oof_MNC[np.ix_(configurations, self.held_out[fold])] = problem.predictions(
                    held_out[better]
                ).numpy()
                source = [members.start + k for k in better]
                target = [self.alive[k] for k in source]
                for kept, current in zip(self.best.parameters(), self.stack.parameters(), strict=True):
                    kept[target] = current[source]

    def _retire(self) -> None:
        """Members leave that have not improved for long, and at a rung the worse half of the configurations."""
        position = self.schedule.done
        stay = [i for i in self.alive if not stalled(self.traces[i], position)]
        if self.rungs and position >= self.rungs[0] and position < 1:
            self.rungs.pop(0)
            chosen = better_half(self.configurations, self.traces, sorted({self.traces[i].configuration for i in stay}))
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


def _runs(labels: Sequence[int]) -> Iterator[tuple[slice, int]]:
    """Runs of equal labels."""
    start = 0
    for label, group in groupby(labels):
        size = len(list(group))
        yield slice(start, start + size), label
        start += size
