"""Sizes that a model's own code keeps in attributes, found by running it."""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import nn

from thinnet.compact._inputs import Inputs
from thinnet.compact._prove import run
from thinnet.compact._shrink import set_attributes

_NO_SIZE = re.compile(
    r"(^_|^training$|layer_?idx|index|window|patch|kernel|stride|padding|dilation|num_layers|depth|^max_|vocab"
    r"|head_dim|head_size|head_width|per_head|key_value_groups|n_rep|version|seed|token)"
)
"""Names of numbers that are no size of what can shrink; a number may well equal a size by accident."""

_MOST = 16
"""How many combinations of attributes are tried for one class of modules."""

Attributes = dict[str, dict[str, Any]]
"""Per module, by name: attributes and their new values; "config.width" is one of its configuration."""


@dataclass(frozen=True)
class Failure:
    """Where a smaller model stopped.

    Args:
        module: the name of the module whose forward failed.
        line: file and line.
        message: what torch said.
    """

    module: str
    line: str
    message: str


def repair_(
    model: nn.Module, inputs: Inputs, lengths: Mapping[str, Mapping[int, int]]
) -> tuple[Attributes, Failure | None]:
    """Run a smaller model, and where it fails, set attributes that hold an old length to the new one.

    Args:
        model: changed in place.
        inputs: what it is run with.
        lengths: per module, the lengths that change with those after.

    Returns:
        The attributes that were set, and where it fails still.
    """
    settled: Attributes = {}
    failure = _failure(model, inputs)
    while failure is not None:
        kind = type(model.get_submodule(failure.module))
        alike = {
            name: found
            for name, module in model.named_modules()
            if type(module) is kind and name not in settled and (found := _candidates(module, lengths.get(name, {})))
        }
        if failure.module not in alike:
            return settled, failure
        failure = _try(model, inputs, alike, failure, settled)
        if failure is not None and failure.module not in settled:
            return settled, failure
    return settled, None


def _try(
    model: nn.Module,
    inputs: Inputs,
    alike: Mapping[str, Mapping[str, tuple[int, int]]],
    failure: Failure,
    settled: Attributes,
) -> Failure | None:
    """Set the same attributes in all modules of one class, all of them first, then fewer, until one gets further."""
    names = sorted({attribute for found in alike.values() for attribute in found})
    here = failure.module
    for chosen in itertools.islice(_subsets(names), _MOST):
        for path, found in alike.items():
            set_attributes(model.get_submodule(path), {n: found[n][1] for n in chosen if n in found})
        after = _failure(model, inputs)
        if after is None or after.module not in alike:
            for path, found in alike.items():
                settled[path] = {n: found[n][1] for n in chosen if n in found}
            return after
        for path, found in alike.items():
            set_attributes(model.get_submodule(path), {n: found[n][0] for n in chosen if n in found})
    assert here == failure.module
    return failure


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names), 0, -1):
        yield from itertools.combinations(names, size)


def _candidates(module: nn.Module, lengths: Mapping[int, int]) -> dict[str, tuple[int, int]]:
    """Attributes of a module that hold a length that changes: old and new, by name."""
    held = dict(vars(module))
    config = getattr(module, "config", None)
    if config is not None and hasattr(config, "__dict__"):
        held |= {f"config.{name}": value for name, value in vars(config).items()}
    return {
        name: (value, lengths[value])
        for name, value in held.items()
        if type(value) is int and value in lengths and not _NO_SIZE.search(name.rpartition(".")[2])
    }


def _failure(model: nn.Module, inputs: Inputs) -> Failure | None:
    try:
        run(model, inputs)
    except Exception as error:
        return _locate(model, error)
    return None


def _locate(model: nn.Module, error: Exception) -> Failure:
    """The innermost module of the model's own code that the error came through."""
    names = {module: name for name, module in model.named_modules()}
    found, line = model, ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and owner in names and not type(owner).__module__.startswith("torch.nn"):
            found, line = owner, f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return Failure(names[found], line, traceback.format_exception_only(error)[-1].strip())
