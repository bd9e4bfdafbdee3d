"""Keys of a plan: a glob over names, a module class, a predicate, or every weight matrix and kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

from torch import nn

from thinnet._suggest import listed, near_misses
from thinnet.plan._module_kinds import is_bias
from thinnet.plan._weights import Weight


class Every(Enum):
    """The key of a plan made of one rule."""

    LAYER_WEIGHT = "every weight matrix and kernel"


LAYER_WEIGHTS: Final = Every.LAYER_WEIGHT

Key = str | type[nn.Module] | Callable[[str, nn.Parameter], bool] | Every


def check_key(key: object) -> Key:
    """Return `key` if a plan can use it; raise a TypeError that says what it can be otherwise."""
    if isinstance(key, type):
        if issubclass(key, nn.Module):
            return key
    elif isinstance(key, str | Every) or callable(key):
        return key
    raise TypeError(
        "a key of a Plan must be a glob over parameter names, a module class or a predicate (name, parameter) -> bool, "
        f"got {key!r}."
    )


def matches(key: Key, weight: Weight) -> bool:
    """Whether `key` claims `weight`, at any of its places and under any of its names."""
    if isinstance(key, Every):
        return weight.of_a_layer()
    if isinstance(key, str):
        return any(fnmatchcase(name, key) for name in weight.names)
    if isinstance(key, type):
        return any(isinstance(place.module, key) and not is_bias(place.attribute) for place in weight.places)
    return any(key(place.name, weight.parameters[0]) for place in weight.places)


def key_name(key: Key) -> str:
    """Write a key for people."""
    if isinstance(key, Every):
        return key.value
    return repr(key) if isinstance(key, str) else getattr(key, "__qualname__", repr(key))


def key_suggestion(key: Key, found: Sequence[Weight]) -> str:
    """Suggest names to the author of a key without a match: near misses, or what there is."""
    if isinstance(key, str):
        names = [name for weight in found for name in weight.names]
    elif isinstance(key, type):
        names = sorted({type(place.module).__name__ for weight in found for place in weight.places})
    else:
        names = []
    target = key if isinstance(key, str) else key_name(key)
    close = near_misses(target, names, cutoff=0.5)
    if close:
        return f"Did you mean {listed(close, 'or')}?"
    some = [weight.name for weight in found[:8]]
    return (
        f"The model has {', '.join(some)}{', ...' if len(found) > 8 else ''}." if some else "The model has no weights."
    )
