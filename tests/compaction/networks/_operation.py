"""What a step of a random network is: a module and the values that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from torch import Tensor, nn

Values = Sequence[Tensor]
"""What earlier steps gave, the operand that was chosen first."""

Made = tuple[nn.Module, tuple[int, ...]] | None
"""A module and which of the values it is called with; None where it fits none of them."""

Operation = Callable[[Random, Values], Made]

OPERATIONS: dict[str, Operation] = {}


def operation(made: Operation) -> Operation:
    """Enrol an operation by its name."""
    OPERATIONS[made.__name__.strip("_")] = made
    return made


class Apply(nn.Module):
    """A function of tensors without parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: Tensor) -> Any:
        return self.function(*values)


def alone(function: Callable[..., Any]) -> Made:
    """The function of the first value."""
    return Apply(function), (0,)


def dim_of(draw: Random, x: Tensor, *, batch: float = 0.05) -> int:
    """A dimension, seldom that of the batch."""
    return 0 if x.ndim < 2 or draw.random() < batch else draw.randrange(1, x.ndim)


def width(draw: Random) -> int:
    return draw.choice((2, 3, 4, 4, 6, 6, 8))


def divisor(draw: Random, n: int, *, proper: bool = False) -> int:
    """One of the divisors of n; a proper one is neither 1 nor n where there is another."""
    found = [d for d in range(1, n + 1) if n % d == 0 and (not proper or d not in (1, n))]
    return draw.choice(found or [1])
