"""Torch's own layers of sequences: recurrent ones and attention."""

from __future__ import annotations

from random import Random
from typing import Any

from torch import Tensor, nn

from ._operation import Made, Values, divisor, operation


@operation
def recurrent(draw: Random, values: Values) -> Made:
    """What a recurrent layer says at every position, at the last one, or in the end."""
    x = values[0]
    if x.ndim != 3:
        return None
    kind = draw.choice((nn.LSTM, nn.GRU, nn.RNN))
    more: dict[str, Any] = {"nonlinearity": draw.choice(("tanh", "relu"))} if kind is nn.RNN else {}
    layer = kind(
        x.shape[-1],
        draw.choice((3, 4, 5)),
        draw.choice((1, 1, 2)),
        bias=draw.random() < 0.8,
        batch_first=draw.random() < 0.8,
        bidirectional=draw.random() < 0.3,
        **more,
    )
    return Recurrent(layer, draw.choice(("all", "last", "end", "both"))), (0,)


class Recurrent(nn.Module):
    def __init__(self, layer: nn.RNNBase, which: str) -> None:
        super().__init__()
        self.layer, self.which = layer, which

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        out, state = self.layer(x)
        end = state[0] if isinstance(state, tuple) else state
        return {"all": out, "last": out[:, -1], "end": end[-1], "both": (out, end[-1])}[self.which]


@operation
def heads(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim != 3:
        return None
    n, bias = x.shape[-1], draw.random() < 0.8
    return Heads(nn.MultiheadAttention(n, divisor(draw, n), bias=bias, batch_first=draw.random() < 0.8)), (0,)


class Heads(nn.Module):
    def __init__(self, layer: nn.MultiheadAttention) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x, x, need_weights=False)[0]


@operation
def encoder(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim != 3:
        return None
    n = x.shape[-1]
    first, act = draw.random() < 0.5, draw.choice(("relu", "gelu"))
    return nn.TransformerEncoderLayer(n, divisor(draw, n), 6, activation=act, batch_first=True, norm_first=first), (0,)
