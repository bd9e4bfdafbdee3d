"""Points of a path in a journal: written when they are finished, read when a path goes on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from thinnet.plan import Plan
from thinnet.search._journal import Journal, tensors_in
from thinnet.search._path_trainer import PathTrainer
from thinnet.search._point import Point
from thinnet.search._snapshot import Snapshot
from thinnet.search._task import Task

_NUMBERS = ("strength", "rounds", "nonzero", "weights", "norm", "diverged", "recipe")


def write_point(journal: Journal, index: int, point: Point, checkpoint: Snapshot) -> Point:
    """Write point number `index`, and where training stood after it; the point then reads its weights from the file."""
    tensors = {f"model.{name}": tensor for name, tensor in point.state().items()}
    tensors |= {f"alive.{name}": alive for name, alive in point.alive.items()}
    tensors["losses"] = point.losses
    place = journal.add(index, {name: getattr(point, name) for name in _NUMBERS}, tensors, checkpoint)
    return replace(point, state=partial(_state_in, place))


def read_points(journal: Journal, task: Task) -> list[Point]:
    """The points of a journal, in order; their weights are read from the files when they are asked for."""
    found = []
    for numbers, place in journal.entries():
        tensors = tensors_in(place)
        found.append(
            Point(
                **numbers,
                losses=tensors["losses"],
                alive=_named("alive.", tensors),
                state=partial(_state_in, place),
                make_model=task.make_model_at(numbers["strength"]),
            )
        )
    return found


def header(trainer: PathTrainer) -> dict[str, Any]:
    """The description of a path by which its journal is known again: a path of another one does not resume."""
    plan, model = trainer.task.plan, trainer.model
    return {
        "plan": repr(plan) if isinstance(plan, Plan) else getattr(plan, "__qualname__", "a function"),
        "model": [[name, list(tensor.shape)] for name, tensor in model.network.state_dict().items()],
        "optimizer": f"{type(model.optimizer).__name__} {model.optimizer.defaults}",
        **vars(trainer.settings),
    }


def _state_in(place: Path) -> dict[str, Tensor]:
    return _named("model.", tensors_in(place))


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
