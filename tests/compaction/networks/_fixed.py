"""Operations with a size written in their code or in an attribute: those sizes stay, or are found and set anew."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor, nn

from ._operation import Made, Values, alone, divisor, operation


@operation
def written(draw: Random, values: Values) -> Made:
    x = values[0]
    n = x.shape[-1]
    parts = divisor(draw, n, proper=True)
    ways = [
        lambda x: x.reshape(*x.shape[:-1], n),
        lambda x: x.reshape(*x.shape[:-1], parts, n // parts).transpose(-1, -2),
        lambda x: x + torch.ones(n, dtype=x.dtype),
        lambda x: x.expand(*x.shape[:-1], n),
        lambda x: x / n,
        lambda x: x[..., : n // 2 + 1],
    ]
    return alone(draw.choice(ways)) if x.ndim < 5 else None


@operation
def remembered(draw: Random, values: Values) -> Made:
    x = values[0]
    heads, size = draw.choice(((2, 2), (2, 3), (4, 2)))
    return (Remembering(x.shape[-1], heads, size, draw.random() < 0.5), (0,)) if x.ndim == 3 else None


class Remembering(nn.Module):
    """Attention whose number of heads is an attribute."""

    def __init__(self, n: int, heads: int, size: int, every: bool) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(n, heads * size) for _ in range(3))
        self.out = nn.Linear(heads * size, n)
        self.num_heads, self.head_dim, self.inner, self.every = heads, size, heads * size, every

    def forward(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:2], self.num_heads, self.head_dim)
        q, k, v = (layer(x).view(shape).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = (q @ k.transpose(-1, -2) / self.head_dim**0.5).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(*x.shape[:2], self.inner if self.every else -1))
