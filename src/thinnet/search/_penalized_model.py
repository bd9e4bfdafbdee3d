"""A network, its optimizer and a plan whose strength is varied."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from thinnet.attachment import Attachment, attach
from thinnet.compaction import CompactCallback
from thinnet.errors import NoEffectWarning
from thinnet.plan import Binding, Plan
from thinnet.search._polish import polish_
from thinnet.search._sparsity import Sparsity
from thinnet.search._state_json import finite
from thinnet.search._task import Task
from thinnet.stack import Stack


class PenalizedModel:
    """A network with the plan attached to its optimizer, at one strength after the other.

    Args:
        task: makes the network and the optimizer, and has the plan.

    Attributes:
        network: the network.
        optimizer: its optimizer.
        attachment: the plan inside the optimizer's steps; None where a function as plan gave none.
        sparsity: the weights that the plan can take to zero.
        weights: how many of these there were before any was removed.

    Raises:
        TypeError: a function of the task returned something of another kind.
        ValueError: `make_model` returned the same network twice.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self.network = task.make_model()
        if not isinstance(self.network, nn.Module):
            raise TypeError(f"path: `make_model` must return a torch.nn.Module, got {type(self.network).__name__}.")
        with torch.random.fork_rng(devices=[]):
            if task.make_model() is self.network:
                raise ValueError("path: `make_model` returned the same network twice; it must build a new one.")
        self.optimizer = task.make_optimizer(self.network.parameters())
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(f"path: `optimizer` must make a torch optimizer, got {type(self.optimizer).__name__}.")
        self.attachment: Attachment | None = None
        if isinstance(task.plan, Plan):
            self.attachment = attach(self.network, task.plan, self.optimizer)
        self._bind()
        self.weights = self.sparsity.count()[1]
        self._compaction: CompactCallback | None = None
        if task.example_inputs is not None:
            self._compaction = CompactCallback(
                self.network, task.example_inputs, optimizer=self.optimizer, attachment=self.attachment
            )

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The weights that the plan governs at present, and their rules."""
        return self.attachment.bindings if self.attachment else ()

    @property
    def is_empty(self) -> bool:
        """Whether every weight that the plan can take to zero is zero."""
        return bool(self.sparsity) and not self.sparsity.count()[0]

    @property
    def is_finite(self) -> bool:
        """Whether the network holds neither infinity nor NaN."""
        return finite({name: tensor.detach() for name, tensor in self.network.state_dict().items()})

    @property
    def recipe(self) -> dict[str, Any] | None:
        """All structures removed until now, see `rebuild`; None where there is none."""
        return self._compaction.recipe if self._compaction else None

    def set_strength(self, strength: float) -> None:
        """Scale the plan by this strength, or attach the plan that the user's function returns for it."""
        if isinstance(self._task.plan, Plan):
            assert self.attachment is not None
            self.attachment.scale = strength
            return
        if self.attachment is not None:
            self.attachment.detach()
        plan = self._task.plan(self.network, strength)
        if not (plan is None or isinstance(plan, Plan)):
            raise TypeError(f"path: `plan(model, value)` must return a tn.Plan or None, got {type(plan).__name__}.")
        with warnings.catch_warnings():
            if not strength:  # no penalty at all is one of the values that are compared
                warnings.simplefilter("ignore", NoEffectWarning)
            self.attachment = None if plan is None else attach(self.network, plan, self.optimizer)
        self._bind()
        self.weights = self.sparsity.count()[1]

    def penalty(self) -> float:
        """The penalties at the present strength; of a stack, their mean over its members."""
        terms = sum(self.attachment.terms().values()) if self.attachment else 0.0
        return terms / (len(self.network) if isinstance(self.network, Stack) else 1)

    def polish_(self, strength: float) -> None:
        """Take the weights to the optimum at this strength, see `polish_`."""
        assert self._task.polish is not None
        assert isinstance(self._task.plan, Plan)
        polish_(self.network.eval(), self._task.plan, self._task.polish, scale=strength)

    def compact_(self) -> bool:
        """Remove dead structures where that was asked for and is worth it; whether any was removed."""
        if self._compaction is None or not self._compaction():
            return False
        self._bind()
        return True

    def resume_compaction(self, recipe: dict[str, Any] | None) -> None:
        """Shrink the network, not trained yet, to where another one's `recipe` had come."""
        if recipe is not None:
            assert self._compaction is not None
            self._compaction.resume(recipe)
            self._bind()

    def _bind(self) -> None:
        self.sparsity = Sparsity.of(self.bindings)
