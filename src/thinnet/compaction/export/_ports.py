"""Names and shapes of the inputs and outputs of a model."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.export._exported import Port
from thinnet.compaction.export._program import Trial


def ports(model: nn.Module, tried: Sequence[Trial]) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs: a length that is not the same in all trials is free."""
    inputs = _ports(input_names(model, tried[0].inputs), [trial.inputs.tensors() for trial in tried])
    names = output_names(model, tried[0], {port.name for port in inputs})
    return inputs, _ports(names, [trial.outputs for trial in tried])


def input_names(model: nn.Module, inputs: Inputs) -> list[str]:
    """A name for every tensor among the arguments: that of its argument, and of its place in it."""
    arguments = [
        p.name
        for p in inspect.signature(model.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    named = [
        (arguments[i] if i < len(arguments) else f"input_{i}", value) for i, value in enumerate(inputs.args)
    ] + list(inputs.kwargs.items())
    names = [
        _joined(name, path)
        for name, value in named
        for path, leaf in pytree.tree_flatten_with_path(value)[0]
        if isinstance(leaf, Tensor)
    ]
    return _distinct(names, set())


def output_names(model: nn.Module, trial: Trial, taken: set[str]) -> list[str]:
    """A name for every tensor that the model returns: its key, or its place."""
    leaves = pytree.tree_flatten_with_path(trial.returned)[0]
    found = [_joined("", path) for path, leaf in leaves if isinstance(leaf, Tensor)]
    if len(found) != len(trial.outputs):
        found = [str(i) for i in range(len(trial.outputs))]
    return _distinct(
        [name if not name[:1].isdigit() and name else f"output_{name}".rstrip("_") for name in found], taken
    )


def _joined(name: str, path: Sequence[Any]) -> str:
    keys = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", "")))) for key in path]
    return "_".join([part for part in (name, *keys) if part])


def _distinct(names: list[str], taken: set[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        while name in taken or name in found:
            name += "_"
        found.append(name)
    return found


def _ports(names: list[str], tensors: list[list[Tensor]]) -> tuple[Port, ...]:
    return tuple(
        Port(
            name,
            str(alike[0].dtype).removeprefix("torch."),
            tuple(n if all(t.shape[i] == n for t in alike) else None for i, n in enumerate(alike[0].shape)),
        )
        for name, *alike in zip(names, *tensors, strict=True)
    )
