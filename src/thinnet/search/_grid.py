"""Grids of strengths: geometric, or given and checked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal

from torch import Tensor

Direction = Literal["up", "down"]


def geometric(top: float, eps: float, n_strengths: int) -> list[float]:
    """`n_strengths` strengths from eps · top up to `top`, each the same factor above the one before."""
    if n_strengths == 1:
        return [top]
    return [top * eps ** (1 - i / (n_strengths - 1)) for i in range(n_strengths)]


def checked(strengths: Iterable[float], direction: Direction) -> list[float]:
    """Convert strengths to floats, and check their range and order.

    Raises:
        TypeError: one is no number.
        ValueError: there is none, one is negative or not finite, or they are not in the order of `direction`.
    """
    if not isinstance(strengths, Iterable):
        raise TypeError(f"path: `strengths` must be a list of numbers, or None to find them, got {strengths!r}.")
    given: list[Any] = strengths.tolist() if isinstance(strengths, Tensor) else list(strengths)
    for value in given:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"path: `strengths` must be numbers, got {value!r}.")
    found = [float(value) for value in given]
    if not found:
        raise ValueError("path: `strengths` is empty; give at least one, or None for a grid from the data.")
    wrong = [value for value in found if not (math.isfinite(value) and value >= 0)]
    if wrong:
        raise ValueError(f"path: `strengths` must be finite and >= 0, got {wrong[0]}.")
    for a, b in itertools.pairwise(found):
        if not (a < b if direction == "up" else a > b):
            order = "rise" if direction == "up" else "fall"
            raise ValueError(
                f"path: `strengths` must {order} for direction={direction!r}, but {b:g} comes after {a:g}; sort "
                f'them, each once, or give direction="{"down" if direction == "up" else "up"}".'
            )
    return found
