"""The layers that recur from network to network, as units."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ._structures import Place, Units


def rows(model: nn.Module, *layers: str) -> tuple[Place, ...]:
    """What the units of a layer's output lie in: its weight and its bias; a norm's scale and shift."""
    names = {name for name, _ in model.named_parameters()}
    return tuple(Place(f"{layer}.{p}") for layer in layers for p in ("weight", "bias") if f"{layer}.{p}" in names)


def columns(*layers: str) -> tuple[Place, ...]:
    """What reads the units of a layer."""
    return tuple(Place(f"{layer}.weight", 1) for layer in layers)


def size(model: nn.Module, layer: str, dim: int = 0) -> int:
    return model.get_parameter(f"{layer}.weight").shape[dim]


def neurons(model: nn.Module, up: str, down: str, kind: str = "neurons") -> Units:
    """Two linear layers with an activation between them that is 0 at 0."""
    into, out = rows(model, up), columns(down)
    biased = {f"{up}.bias", f"{down}.bias"} <= {name for name, _ in model.named_parameters()}
    constant = into[:1] if biased else ()  # the bias is left, and what it makes of the unit goes into the next bias
    return Units(kind, size(model, up), (into, out), (*into, *out), constant)


def gated(model: nn.Module, gate: str, up: str, down: str) -> Units:
    """A linear layer times another under an activation that is 0 at 0, and the layer that reads the product."""
    ways = rows(model, gate), rows(model, up), columns(down)
    return Units("neurons", size(model, up), ways, (*rows(model, gate, up), *columns(down)))


def heads(model: nn.Module, count: int, q: str, k: str, v: str, out: str) -> Units:
    """The heads of an attention; with grouped queries, its key-value heads, each with the query heads that share it."""
    return Units("heads", count, (rows(model, v), columns(out)), (*rows(model, q, k, v), *columns(out)))


def channels(model: nn.Module, layers: Sequence[str], readers: Sequence[str]) -> Units:
    """The output of a convolution, zero after the last of the layers (a norm by channel, as a rule)."""
    ways = rows(model, layers[-1]), columns(*readers)
    return Units("channels", size(model, layers[0]), ways, (*rows(model, *layers), *columns(*readers)))
