"""Operations that arrange elements anew."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from ._operation import Made, Values, alone, dim_of, divisor, operation


@operation
def flattening(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim < 3:
        return None
    ways = [lambda x: x.flatten(1), lambda x: x.reshape(len(x), -1), lambda x: x.flatten(-2)]
    if x.ndim == 4:
        ways += [lambda x: x.flatten(2).transpose(1, 2), lambda x: x.flatten(1, 2), lambda x: x.flatten(2)]
    return alone(draw.choice(ways))


@operation
def folding(draw: Random, values: Values) -> Made:
    """One dimension made two."""
    x = values[0]
    dim = dim_of(draw, x)
    parts = divisor(draw, x.shape[dim], proper=True)
    if parts == 1 or x.ndim > 3:
        return None
    return alone(
        draw.choice(
            (
                lambda x: x.unflatten(dim, (parts, -1)),
                lambda x: x.unflatten(dim, (-1, parts)),
                lambda x: x.unflatten(dim, (parts, -1)).transpose(dim, dim + 1),
                lambda x: x.unflatten(dim, (parts, -1)).transpose(dim, dim + 1).flatten(dim, dim + 1),
                lambda x: x.unflatten(dim, (-1, parts)).sum(dim),
                lambda x: x.unflatten(dim, (-1, parts)).mean(dim + 1),
                lambda x: x.unflatten(dim, (parts, -1)).flip(dim).flatten(dim, dim + 1),
            )
        )
    )


@operation
def permuting(draw: Random, values: Values) -> Made:
    x = values[0]
    order = list(range(1, x.ndim))
    draw.shuffle(order)
    order = [0, *order] if draw.random() < 0.9 else [*order, 0]
    return alone(lambda x: x.permute(order)) if x.ndim > 1 else None


@operation
def one(draw: Random, values: Values) -> Made:
    """A dimension of length one more or less."""
    x, dim = values[0], draw.randrange(1, values[0].ndim + 1)
    if 1 in x.shape[1:] and draw.random() < 0.5:
        place = x.shape.index(1, 1)
        return alone(lambda x: x.squeeze(place))
    n = draw.choice((2, 3))
    ways = (lambda x: x.unsqueeze(dim), lambda x: x.unsqueeze(dim).repeat_interleave(n, dim))
    return alone(draw.choice((*ways, lambda x: x.unsqueeze(dim).expand(*x.shape[:dim], n, *x.shape[dim:]))))


@operation
def splitting(draw: Random, values: Values) -> Made:
    x = values[0]
    dim = dim_of(draw, x)
    n = x.shape[dim]
    if n < 2:
        return None
    first = draw.randrange(1, n)
    ways = [lambda x: x.split([first, n - first], dim), lambda x: x.chunk(2, dim), lambda x: x.tensor_split(2, dim)]
    ways += [lambda x: x.chunk(min(3, n), dim)]
    if n % 2 == 0:
        ways += [
            lambda x: torch.mul(*x.chunk(2, dim)),
            lambda x: F.glu(x, dim),
            lambda x: torch.add(*x.chunk(2, dim)),
            lambda x: torch.cat(x.chunk(2, dim)[::-1], dim),
        ]
    if n <= 4:
        ways += [lambda x: x.unbind(dim), lambda x: sum(x.unbind(dim))]
    return alone(draw.choice(ways))


@operation
def picking(draw: Random, values: Values) -> Made:
    """Some slices by number."""
    x = values[0]
    dim = dim_of(draw, x)
    n = x.shape[dim]
    start = draw.randrange(n)
    length = draw.randrange(1, n - start + 1)
    chosen = torch.tensor([draw.randrange(n) for _ in range(draw.randrange(1, n + 1))])
    before = (slice(None),) * dim

    def gathered(x: Tensor) -> Tensor:
        index = chosen.view(-1, *[1] * (x.ndim - dim - 1)).expand(*x.shape[:dim], len(chosen), *x.shape[dim + 1 :])
        return x.gather(dim, index)

    return alone(
        draw.choice(
            (
                lambda x: x.narrow(dim, start, length),
                lambda x: x[(*before, slice(start, start + length))],
                lambda x: x[(*before, slice(start % 2, None, 2))] if n > 1 else x,
                lambda x: x[(*before, chosen)],
                lambda x: x.index_select(dim, chosen),
                lambda x: x.select(dim, start) if x.ndim > 2 else x,
                gathered,
            )
        )
    )


@operation
def placing(draw: Random, values: Values) -> Made:
    """The same slices in another order, or several times."""
    x = values[0]
    dim = dim_of(draw, x)
    shift, other = draw.choice((1, 2)), dim_of(draw, x)
    repeats = [2 if d == dim else 1 for d in range(x.ndim)]
    return alone(
        draw.choice(
            (
                lambda x: x.flip(dim),
                lambda x: x.flip(dim, other) if dim != other else x,
                lambda x: x.roll(shift, dim),
                lambda x: x.repeat(repeats),
                lambda x: x.repeat_interleave(2, dim),
                lambda x: x.clone().contiguous(),
                lambda x: x + x.flip(dim),
                lambda x: x + x.roll(shift, dim),
            )
        )
    )


@operation
def shuffling(draw: Random, values: Values) -> Made:
    """Between channels and pixels."""
    x = values[0]
    if x.ndim != 4:
        return None
    groups = divisor(draw, x.shape[1], proper=True)
    ways = [
        lambda x: x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2),
        lambda x: F.channel_shuffle(x, groups),
    ]
    if x.shape[1] % 4 == 0:
        ways += [lambda x: F.pixel_shuffle(x, 2)]
    if x.shape[2] % 2 == x.shape[3] % 2 == 0:
        ways += [lambda x: F.pixel_unshuffle(x, 2), lambda x: F.unfold(x, 2, stride=2)]
    return alone(draw.choice(ways))
