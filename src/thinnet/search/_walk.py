"""A network on its way along the strengths, each point from where the last one ended."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from thinnet.attachment import Attachment, attach, proximal_step_
from thinnet.compaction import CompactCallback
from thinnet.constraints import Constraint
from thinnet.errors import NoEffectWarning
from thinnet.plan import Plan
from thinnet.search._average import Average
from thinnet.search._keep_zeros import keep_zeros
from thinnet.search._losses import Losses
from thinnet.search._polish import polish_
from thinnet.search._sparsity import Sparsity
from thinnet.search._state_json import finite, flatten, unflatten
from thinnet.search._stop import Stop
from thinnet.search._task import Settings, Task
from thinnet.stack import Stack

_STALE = 1e-4
"""A relative gain below which a round brought nothing."""


class Walk:
    """One model, one optimizer, one attachment, from point to point."""

    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.model = task.make_model()
        if not isinstance(self.model, nn.Module):
            raise TypeError(f"path: `make_model` must return a torch.nn.Module, got {type(self.model).__name__}.")
        with torch.random.fork_rng(devices=[]):
            if task.make_model() is self.model:
                raise ValueError("path: `make_model` returned the same network twice; it must build a new one.")
        self.optimizer = task.make_optimizer(self.model.parameters())
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(f"path: `optimizer` must make a torch optimizer, got {type(self.optimizer).__name__}.")
        self.attachment: Attachment | None = None
        self.sparsity = Sparsity(())
        self.grid: list[float] = []
        self.error = math.inf
        # the optimum that `polish` finds has no noise to average out
        self.average = Average(settings.average) if settings.average and task.polish is None else None
        self._steps = 0
        self._parameters: list[nn.Parameter] = []
        self._hook: RemovableHandle | None = None
        self._compact: CompactCallback | None = None
        if isinstance(task.plan, Plan):
            self.attachment = attach(self.model, task.plan, self.optimizer)
            self.sparsity = Sparsity.of(self.attachment.bindings)
        self._listen()
        self.weights = self.sparsity.count()[1]
        if task.example_inputs is not None:
            self._compact = CompactCallback(
                self.model, task.example_inputs, optimizer=self.optimizer, attachment=self.attachment
            )

    @property
    def recipe(self) -> dict[str, Any] | None:
        """All that was removed until now, see `rebuild`."""
        return self._compact.recipe if self._compact else None

    def _listen(self) -> None:
        """To the optimizer's steps, after the attachment, which takes part in them."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = self.optimizer.register_step_post_hook(self._stepped)

    def _stepped(self, *_: object) -> None:
        self._steps += 1
        if self.average is not None:
            self.average.add(self._parameters)

    def _look_anew(self) -> None:
        self.sparsity = Sparsity.of(self.attachment.bindings if self.attachment else ())

    def _empty(self) -> bool:
        return bool(self.sparsity) and not self.sparsity.count()[0]

    def step(self, strength: float, first: bool) -> Stop:
        """Go on to a strength."""
        before = self.state()
        waiting = self.settings.direction == "down" and self._empty()
        self.set_strength(strength)
        with self.averaged():
            # a strength that is no part of the cost, such as a rate of dropout, may take rounds to pay
            start = self.error + self._penalty() if isinstance(self.task.plan, Plan) else math.inf
        # what comes in first is trained from scratch
        rounds = self.train(self.settings.first_rounds if first or waiting else self.settings.rounds, start=start)
        if waiting and self._empty():
            self._restore(before)  # nothing came in, and the rest is trained: more of it would only let units die
        if self.task.polish is not None and _finite(self.model):
            self.polish(strength)
        if self._compact is not None:
            self._go_on_from_average()  # what is removed is folded into what stays: in one network, not in two
        with self.averaged():
            stop = self._stop(strength, self._measured(), rounds)
        if not (math.isfinite(stop.losses.mean) and finite(stop.state) and _finite(self.model)):
            self._restore(before)
            return self._stop(strength, Losses(torch.full_like(stop.losses.each, math.nan)), rounds, diverged=True)
        if self._compact is not None and self._compact():
            self._look_anew()
            stop = self._stop(strength, stop.losses, rounds)
        self.error = stop.losses.mean
        return self._refitted(strength, rounds) if self.settings.refit else stop

    def _refitted(self, strength: float, rounds: int) -> Stop:
        """The point of the survivors trained without penalty; the walk goes on from where it was."""
        before = self.state()
        self._go_on_from_average()
        self.set_strength(0.0)
        self.optimizer.state.clear()
        # a plan binds to the model in its first size alone
        plan = self.task.plan if isinstance(self.task.plan, Plan) and self.recipe is None else None
        with keep_zeros(self.model, self.optimizer, plan=plan):
            rounds += self.train(self.settings.refit, best=self._measured().mean)
        with self.averaged():
            stop = self._stop(strength, self._measured(), rounds)
        self._restore(before)
        return stop

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network as it is measured and kept: its average stands in for it."""
        if self.average is None or not self.average.count:
            yield
            return
        with self.average.standing_in(self.model.parameters()):
            bindings = self.attachment.bindings if self.attachment else ()
            # the mean of unit vectors is shorter than one
            held = [binding for binding in bindings if any(isinstance(rule, Constraint) for rule in binding.rules)]
            proximal_step_(held, scale=0.0)
            yield

    @torch.no_grad()
    def _go_on_from_average(self) -> None:
        if self.average is None:
            return
        with self.averaged():
            mean = [parameter.clone() for parameter in self.model.parameters()]
        for parameter, value in zip(self.model.parameters(), mean, strict=True):
            parameter.copy_(value)
        self.average.restart()

    def _stop(self, strength: float, losses: Losses, rounds: int, *, diverged: bool = False) -> Stop:
        return Stop(
            strength,
            losses,
            rounds,
            self.sparsity.count()[0],
            self.weights,
            self.sparsity.alive(),
            self.sparsity.norm(),
            diverged,
            self.recipe,
            {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()},
        )

    def set_strength(self, strength: float) -> None:
        """The plan at this strength."""
        if isinstance(self.task.plan, Plan):
            assert self.attachment is not None
            self.attachment.scale = strength
            return
        if self.attachment is not None:
            self.attachment.detach()
        plan = self.task.plan(self.model, strength)
        if not (plan is None or isinstance(plan, Plan)):
            raise TypeError(f"path: `plan(model, value)` must return a tn.Plan or None, got {type(plan).__name__}.")
        with warnings.catch_warnings():
            if not strength:  # no penalty at all is one of the values that are compared
                warnings.simplefilter("ignore", NoEffectWarning)
            self.attachment = None if plan is None else attach(self.model, plan, self.optimizer)
        self._listen()
        self._look_anew()
        self.weights = self.sparsity.count()[1]

    def train(
        self, rounds: int, *, best: float = math.inf, start: float = math.inf, patience: int | None = None
    ) -> int:
        """Rounds until held-out loss plus penalty fall no more, back to where they were least; how many it took.

        Args:
            rounds: rounds at most.
            best: what they must fall below for the weights as they are now not to be kept.
            start: what they must fall below for a round to count as a gain.
            patience: rounds without a gain that end it; see `path`.
        """
        falls_back = best < math.inf
        best_weights = self._weights() if falls_back else None
        since, number = 0, 0
        patience = patience or max(self.settings.patience, rounds // 10)
        for number in range(1, rounds + 1):
            self._round()
            with self.averaged():
                cost = self._measured().mean + self._penalty()
            if not math.isfinite(cost):
                if falls_back:
                    break
                return number  # momenta are lost as well: the point has diverged
            least = min(best, start)
            since = 0 if least == math.inf or cost < least - _STALE * abs(least) else since + 1
            if cost < best:
                best, best_weights = cost, self._weights() if number < rounds else None
            if since >= patience:
                break
        if best_weights is not None:
            state, self.average = best_weights
            self.model.load_state_dict(state)
        return number

    def _weights(self) -> tuple[dict[str, Tensor], Average | None]:
        return {n: t.clone() for n, t in self.model.state_dict().items()}, copy.deepcopy(self.average)

    def _round(self) -> None:
        self._steps, self._parameters = 0, list(self.model.parameters())
        self.model.train()
        self.task.fit(self.model, self.optimizer)
        if not self._steps:
            raise ValueError("path: `fit` never called optimizer.step(): it must train the model that it is given.")
        if self.average is not None:
            self.average.steps = self._steps

    def _penalty(self) -> float:
        """The penalties, of one member where there is a stack of them."""
        terms = sum(self.attachment.terms().values()) if self.attachment else 0.0
        return terms / (len(self.model) if isinstance(self.model, Stack) else 1)

    def polish(self, strength: float) -> None:
        """Take the weights to the optimum at this strength."""
        assert self.task.polish is not None
        assert isinstance(self.task.plan, Plan)
        polish_(self.model.eval(), self.task.plan, self.task.polish, scale=strength)

    @torch.no_grad()
    def _measured(self) -> Losses:
        self.model.eval()
        return Losses.of(self.task.evaluate(self.model))

    def state(self) -> tuple[Any, dict[str, Tensor]]:
        """All that is needed to go on from here: JSON, and tensors by name."""
        tensors: dict[str, Tensor] = {}
        plain = {
            "model": flatten(dict(self.model.state_dict()), "model", tensors),
            "optimizer": flatten(self.optimizer.state_dict(), "optimizer", tensors),
            "attachment": flatten(self.attachment.state_dict() if self.attachment else None, "attachment", tensors),
            "average": flatten(vars(self.average) if self.average else None, "average", tensors),
            "grid": self.grid,
            "error": self.error,
            "weights": self.weights,
            "recipe": self.recipe,
        }
        tensors["random"] = torch.get_rng_state()
        return plain, tensors

    def resume(self, plain: Any, tensors: dict[str, Tensor]) -> None:
        """Go back to where a walk of the same task stood, random numbers included."""
        self.grid, self.error, self.weights = list(plain["grid"]), plain["error"], plain["weights"]
        if plain["recipe"] is not None:
            assert self._compact is not None
            self._compact.resume(plain["recipe"])
            self._look_anew()
        self._restore((plain, tensors))
        torch.set_rng_state(tensors["random"])

    def _restore(self, state: tuple[Any, dict[str, Tensor]]) -> None:
        plain, tensors = state
        self.model.load_state_dict(unflatten(plain["model"], tensors))
        self.optimizer.load_state_dict(unflatten(plain["optimizer"], tensors))
        attachment = unflatten(plain["attachment"], tensors)
        if self.attachment is not None and attachment is not None:
            self.attachment.load_state_dict(attachment)
        if self.average is not None:
            vars(self.average).update(unflatten(plain["average"], tensors))


def _finite(model: nn.Module) -> bool:
    return finite({name: tensor.detach() for name, tensor in model.state_dict().items()})
