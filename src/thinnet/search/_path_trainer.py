"""Training from point to point of a path, each from where the last one ended (warm starts)."""

from __future__ import annotations

import math
from functools import partial

import torch

from thinnet.plan import Plan
from thinnet.search._keep_zeros import keep_zeros
from thinnet.search._losses import Losses
from thinnet.search._penalized_model import PenalizedModel
from thinnet.search._point import Point
from thinnet.search._snapshot import Snapshot
from thinnet.search._state_json import finite
from thinnet.search._task import Settings, Task
from thinnet.search._trainer import Trainer


class PathTrainer:
    """Train one network at one strength after the other.

    Args:
        task: what is trained.
        settings: how.

    Attributes:
        model: the network, its optimizer and the plan.
        trainer: trains it at one strength.
    """

    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.model = PenalizedModel(task)
        self.trainer = Trainer(self.model, task, settings)
        self._error = math.inf

    def point(self, strength: float, *, first: bool) -> Point:
        """Train at a strength, from where the last point ended; where training diverges, go back there.

        Args:
            strength: the strength.
            first: whether it is the first point, which is trained from scratch.
        """
        model, trainer = self.model, self.trainer
        before = self._snapshot()
        waiting = self.settings.direction == "down" and model.is_empty
        model.set_strength(strength)
        with trainer.averaged():
            # a strength that is no part of the cost, such as a rate of dropout, may take rounds to pay
            start = self._error + model.penalty() if isinstance(self.task.plan, Plan) else math.inf
        # what comes in first is trained from scratch
        rounds = trainer.train(self.settings.first_rounds if first or waiting else self.settings.rounds, start=start)
        if waiting and model.is_empty:
            self._restore(before)  # nothing came in, and the rest is trained: more of it would only let units die
        if self.task.polish is not None and model.is_finite:
            model.polish_(strength)
        if self.task.example_inputs is not None:
            trainer.adopt_average()  # removal folds constants into what is kept: in one network, not in two
        with trainer.averaged():
            point = self._point(strength, trainer.losses(), rounds)
        if not (math.isfinite(point.error) and finite(dict(point.state())) and model.is_finite):
            self._restore(before)
            return self._point(strength, Losses(torch.full_like(point.losses, math.nan)), rounds, diverged=True)
        if model.compact_():
            point = self._point(strength, Losses(point.losses), rounds)
        self._error = point.error
        return self._refitted(strength, rounds) if self.settings.refit else point

    def _refitted(self, strength: float, rounds: int) -> Point:
        """The point of the nonzero weights trained without penalty; the path goes on from where it was."""
        model, trainer = self.model, self.trainer
        before = self._snapshot()
        trainer.adopt_average()
        model.set_strength(0.0)
        model.optimizer.state.clear()
        # a plan binds to the model in its first size alone
        plan = self.task.plan if isinstance(self.task.plan, Plan) and model.recipe is None else None
        with keep_zeros(model.network, model.optimizer, plan=plan):
            rounds += trainer.train(self.settings.refit, best=trainer.losses().mean)
        with trainer.averaged():
            point = self._point(strength, trainer.losses(), rounds)
        self._restore(before)
        return point

    def _point(self, strength: float, losses: Losses, rounds: int, *, diverged: bool = False) -> Point:
        """The point of the network as it is."""
        model = self.model
        state = {name: tensor.detach().clone() for name, tensor in model.network.state_dict().items()}
        return Point(
            strength=strength,
            losses=losses.each,
            rounds=rounds,
            nonzero=model.sparsity.count()[0],
            weights=model.weights,
            alive=model.sparsity.alive(),
            norm=model.sparsity.norm(),
            diverged=diverged,
            recipe=model.recipe,
            state=partial(dict, state),
            make_model=self.task.make_model_at(strength),
        )

    def checkpoint(self) -> Snapshot:
        """All that is needed to go on from here in another process, random numbers included."""
        found = self._snapshot()
        more = {"error": self._error, "weights": self.model.weights, "recipe": self.model.recipe}
        return Snapshot({**found.plain, **more}, {**found.tensors, "random": torch.get_rng_state()})

    def resume(self, checkpoint: Snapshot) -> None:
        """Go back to where another training of the same task stood."""
        self._error, self.model.weights = checkpoint.plain["error"], checkpoint.plain["weights"]
        self.model.resume_compaction(checkpoint.plain["recipe"])
        self._restore(checkpoint)
        torch.set_rng_state(checkpoint.tensors["random"])

    def _snapshot(self) -> Snapshot:
        return Snapshot.of(self.trainer.parts())

    def _restore(self, snapshot: Snapshot) -> None:
        snapshot.restore_(self.trainer.parts())
