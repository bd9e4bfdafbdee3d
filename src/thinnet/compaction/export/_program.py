"""Programs exported from a model, for any number of rows where it allows that, and their comparison with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection

from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.analyze._quiet import quiet
from thinnet.compaction.analyze._trace import plain_attention
from thinnet.compaction.prove._check import check
from thinnet.compaction.prove._compare import RANDOM, distance, outputs_of, run
from thinnet.errors import NotCompactableError, NotExportableError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Trial:
    """Inputs, and what the model makes of them."""

    inputs: Inputs
    returned: Any
    outputs: list[Tensor]

    @classmethod
    def of(cls, model: nn.Module, inputs: Inputs) -> Trial:
        """What the model makes of these inputs."""
        with torch.no_grad(), plain_attention():
            returned = inputs.call(model)
        return cls(inputs, returned, outputs_of(returned))


def readable(model: nn.Module, example_inputs: ExampleInputs, what: str) -> Inputs:
    """The example inputs of a model that can be exported; refuses others by name. `what` is the function."""
    inputs = Inputs.of(example_inputs, what)
    try:
        check(model, inputs, what)
    except NotCompactableError as error:
        raise NotExportableError(
            f"{what}: {type(model).__name__} returns something else each time it is called in eval mode, so that no "
            "file could be equal to it; switch its randomness off first."
        ) from error
    if not run(model, inputs):
        raise NotExportableError(f"{what}: {type(model).__name__} returns no tensor; a file gives nothing else.")
    return inputs


def rows(inputs: Inputs) -> int | None:
    """How many rows the inputs have: the length that begins the first tensor that has a length."""
    return next((len(t) for t in inputs.tensors() if t.ndim), None)


def resized(inputs: Inputs, count: int) -> Inputs:
    """The same with `count` rows, in turn, wherever a tensor begins with the number of rows."""
    n = rows(inputs)
    return inputs.map(lambda t: t[torch.arange(count, device=t.device) % len(t)] if t.ndim and len(t) == n else t)


def attempts(model: nn.Module, inputs: Inputs) -> list[Inputs | None]:
    """In which ways to export: with rows of any number, by these example inputs, and then (None) as they are."""
    n = rows(inputs)
    if not n:
        return [None]
    try:
        # a length of 1 would be taken for one that is always 1
        example = resized(inputs, max(n, 2))
        run(model, resized(inputs, n + 1))
    except Exception:
        return [None]
    return [example, None]


def trials(model: nn.Module, inputs: Inputs, *, free: bool) -> list[Trial]:
    """What a file is compared on: the examples, random inputs, and other numbers of rows where they are free."""
    given = [inputs, *(inputs.random(seed) for seed in range(RANDOM))]
    if free:
        given += [resized(inputs.random(RANDOM), 1), resized(inputs.random(RANDOM + 1), (rows(inputs) or 0) + 1)]
    found = []
    for each in given:
        try:
            found.append(Trial.of(model, each))
        except Exception:
            if each is inputs:
                raise
    return found


def program(model: nn.Module, inputs: Inputs, *, free: bool) -> ExportedProgram:
    """The model's program on these inputs, `free` of their number of rows.

    Raises:
        Exception: whatever torch says against it.
    """
    shapes = None
    if free:
        collection: Any = ShapesCollection()  # type: ignore[no-untyped-call]
        batch, n = Dim("batch"), rows(inputs)
        for tensor in inputs.tensors():
            if tensor.ndim and len(tensor) == n:
                collection[tensor] = {0: batch}
        shapes = collection.dynamic_shapes(model, inputs.args, dict(inputs.kwargs))
    reasons = []
    for strict in (False, True):
        try:
            with torch.no_grad(), plain_attention(), quiet():
                return torch.export.export(
                    model, inputs.args, dict(inputs.kwargs), dynamic_shapes=shapes, strict=strict
                )
        except Exception as error:
            reasons.append(error)
    raise reasons[0]


def worst(tried: list[Trial], call: Callable[[Inputs], list[Tensor]]) -> float:
    """The largest difference of `call` from the model, relative to the largest element of each output."""
    return max((d for trial in tried for d in _differences(trial.outputs, call(trial.inputs))), default=0.0)


def _differences(expected: list[Tensor], found: list[Tensor]) -> Iterator[float]:
    if [t.shape for t in expected] != [t.shape for t in found]:
        yield torch.inf
        return
    for a, b in zip(expected, found, strict=True):
        # whole numbers are equal or not: a class is not nearly another one
        yield distance(a, b) if a.is_floating_point() else 0.0 if torch.equal(a.cpu(), b.cpu()) else torch.inf


def reason(error: BaseException) -> str:
    """What an error says, from its root, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = _COLOURS.sub("", str(error)).strip().partition("\n\n")[0]
    return f"{type(error).__name__}: {' '.join(first.split())}"
