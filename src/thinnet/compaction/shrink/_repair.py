"""Sizes that a model's own code keeps in attributes, found by running it."""

from __future__ import annotations

import copy
import itertools
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from thinnet.compaction.analyze._blame import blame
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.prove._compare import apart, run
from thinnet.compaction.shrink._shrink import set_attributes

_NO_SIZE = re.compile(
    r"(^_|^training$|layer_?idx|index|window|patch|kernel|stride|padding|dilation|num_layers|depth|^max_|vocab"
    r"|head_dim|head_size|head_width|per_head|key_value_groups|n_rep|version|seed|token)"
)
"""Names of numbers that are no size of what can shrink; a number may well equal a size by accident."""

_MOST = 24
"""How many combinations of attributes are tried for one class of modules."""

Candidates = dict[str, tuple[int, int]]
"""Attributes of a module that hold a length that changes: old and new."""

Attributes = dict[str, dict[str, Any]]
"""Per module, by name: attributes and their new values; "config.width" is one of its configuration."""


@dataclass(frozen=True)
class Expected:
    """What a model should return, and how far from it counts as rounding."""

    outputs: list[Tensor]
    tolerance: float


@dataclass(frozen=True)
class Failure:
    """Where a smaller model stopped.

    Args:
        module: the name of the module whose forward failed.
        line: file and line.
        message: what torch said.
        calls: how many modules were called before.
    """

    module: str
    line: str
    message: str
    calls: int


def repair_(
    model: nn.Module, inputs: Inputs, expected: Expected, lengths: Mapping[str, Mapping[int, int]]
) -> tuple[Attributes, Failure | None]:
    """Run a smaller model, and while it fails, set attributes that hold an old length to the new one.

    Args:
        model: changed in place.
        inputs: what it is run with.
        expected: what it should return for them.
        lengths: per module, in the order of the graph, the lengths that change with those after.

    Returns:
        The attributes that were set, and where it fails still.
    """
    settled: Attributes = {}
    failure = _failure(model, inputs, expected)
    while failure is not None:
        for alike in _alike(model, lengths, settled, failure):
            after, values = _try(model, inputs, expected, alike, failure)
            if values:
                for path, found in values.items():
                    settled[path] = settled.get(path, {}) | found
                failure = after
                break
        else:
            return settled, failure
    return settled, None


def in_training(model: nn.Module, small: nn.Module, inputs: Inputs) -> Failure | None:
    """Where copies of a smaller model fail in training mode though the model does not: code that eval never meets."""
    try:
        run(copy.deepcopy(model).train(), inputs)
    except Exception:
        return None  # a batch too small for its statistics, say
    learning = copy.deepcopy(small).train()
    try:
        run(learning, inputs)
    except Exception as error:
        place, message = blame(learning, error), traceback.format_exception_only(error)[-1].strip()
        return Failure(place.module, place.line, f"in training mode: {message}", 0)
    return None


def _alike(
    model: nn.Module, lengths: Mapping[str, Mapping[int, int]], settled: Attributes, failure: Failure
) -> list[dict[str, Candidates]]:
    """The modules that hold an old length, class by class: where it failed first, then those before, nearest first."""
    order = list(lengths)
    place = order.index(failure.module) if failure.module in lengths else len(order)
    classes: dict[type, dict[str, Candidates]] = {}
    near = sorted(order, key=lambda name: (order.index(name) > place, abs(order.index(name) - place)))
    for name in near:
        module = model.get_submodule(name)
        found = {n: v for n, v in _candidates(module, lengths[name]).items() if n not in settled.get(name, {})}
        if found and not type(module).__module__.startswith("torch.nn"):
            classes.setdefault(type(module), {})[name] = found
    return list(classes.values())


def _try(
    model: nn.Module, inputs: Inputs, expected: Expected, alike: Mapping[str, Candidates], failure: Failure
) -> tuple[Failure | None, Attributes]:
    """Set the same attributes in all modules of one class, one at first, then more, until the model gets further."""
    names = sorted({attribute for found in alike.values() for attribute in found})
    for chosen in itertools.islice(_subsets(names), _MOST):
        for path, found in alike.items():
            set_attributes(model.get_submodule(path), {n: found[n][1] for n in chosen if n in found})
        after = _failure(model, inputs, expected)
        if after is None or after.calls > failure.calls:
            return after, {path: {n: found[n][1] for n in chosen if n in found} for path, found in alike.items()}
        for path, found in alike.items():
            set_attributes(model.get_submodule(path), {n: found[n][0] for n in chosen if n in found})
    return failure, {}


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    own = [name for name in names if "." not in name]
    for among in (own, names) if own != names else (names,):
        for size in range(1, len(among) + 1):
            yield from itertools.combinations(among, size)


def _candidates(module: nn.Module, lengths: Mapping[int, int]) -> Candidates:
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


def _failure(model: nn.Module, inputs: Inputs, expected: Expected) -> Failure | None:
    """Where the model fails: by an error, or at its end by other outputs."""
    calls = itertools.count()
    hook = register_module_forward_pre_hook(lambda *_: (next(calls), None)[1])
    try:
        difference = apart(expected.outputs, run(model, inputs))
    except Exception as error:
        place, message = blame(model, error), traceback.format_exception_only(error)[-1].strip()
        return Failure(place.module, place.line, message, next(calls))
    finally:
        hook.remove()
    if difference.size <= expected.tolerance:
        return None
    return Failure("", "", f"outputs differ by {difference.size:.1e} ({difference.where})", next(calls))
