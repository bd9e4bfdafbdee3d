"""Points from where the walk stopped, by way of the journal if there is one."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from thinnet.plan import Plan
from thinnet.search._journal import Entry, Journal
from thinnet.search._losses import Losses
from thinnet.search._point import Point
from thinnet.search._stop import Stop
from thinnet.search._task import Task
from thinnet.search._walk import Walk


def kept(stop: Stop, index: int, task: Task, file: Journal | None, walk: Walk) -> Point:
    """The point of a stop, in the journal if there is one."""
    numbers = {
        "index": index,
        "strength": stop.strength,
        "rounds": stop.rounds,
        "nonzero": stop.nonzero,
        "weights": stop.weights,
        "norm": stop.norm,
        "diverged": stop.diverged,
        "recipe": stop.recipe,
    }
    tensors = {f"model.{name}": tensor for name, tensor in stop.state.items()}
    tensors |= {f"alive.{name}": alive for name, alive in stop.alive.items()}
    tensors["losses"] = stop.losses.each
    if file is None:
        return read(Entry(numbers, lambda: tensors), task)
    plain, state = walk.state()
    return read(file.add(numbers, tensors, {**plain, "done": index + 1}, state), task)


def read(entry: Entry, task: Task) -> Point:
    """The point of an entry; its weights are read when they are asked for."""

    def state() -> dict[str, Tensor]:
        return {n.removeprefix("model."): t for n, t in entry.tensors().items() if n.startswith("model.")}

    def make_model() -> nn.Module:
        model = task.make_model()
        if not isinstance(task.plan, Plan):
            task.plan(model, entry.numbers["strength"])  # what it sets on the model belongs to the point
        return model

    tensors, numbers = entry.tensors(), entry.numbers
    losses = Losses(tensors["losses"])
    alive = {n.removeprefix("alive."): t for n, t in tensors.items() if n.startswith("alive.")}
    return Point(
        strength=numbers["strength"],
        error=losses.mean,
        se=losses.se,
        losses=losses.each,
        rounds=numbers["rounds"],
        nonzero=numbers["nonzero"],
        weights=numbers["weights"],
        groups={name: int(mask.sum()) for name, mask in alive.items()},
        alive=alive,
        norm=numbers["norm"],
        diverged=numbers["diverged"],
        recipe=numbers["recipe"],
        state=state,
        make_model=make_model,
    )


def header(walk: Walk) -> dict[str, Any]:
    """What must be the same for a path to go on."""
    plan, settings = walk.task.plan, walk.settings
    return {
        "plan": repr(plan) if isinstance(plan, Plan) else getattr(plan, "__qualname__", "a function"),
        "model": [[name, list(tensor.shape)] for name, tensor in walk.model.state_dict().items()],
        "optimizer": f"{type(walk.optimizer).__name__} {walk.optimizer.defaults}",
        **vars(settings),
    }
