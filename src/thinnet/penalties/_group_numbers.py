"""Group numbers: which group each index of a weight belongs to."""

from __future__ import annotations

import torch
from torch import Tensor


def group_numbers(whose: str, each: str, numbers: object) -> Tensor:
    """Convert group numbers to an int64 tensor on the CPU; refuse what are not whole numbers >= -1.

    Args:
        whose: what an error calls them.
        each: what has one number each, for errors.
        numbers: a list, tuple, range, array or tensor of one dimension; -1 is in no group.
    """
    try:
        found = torch.as_tensor(numbers)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        found = torch.zeros(())
    if found.ndim != 1 or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise TypeError(f"{whose} must be a list of whole numbers, one for each {each}, got {numbers!r}.")
    if bool((found < -1).any()):
        raise ValueError(f"{whose} must be >= 0, or -1 for none, got {int(found.min())}.")
    return found.to("cpu", torch.int64, copy=True)


def known_groups(numbers: Tensor) -> Tensor:
    """List the distinct group numbers, in order."""
    known: Tensor = torch.unique(numbers[numbers >= 0])
    return known


def group_slots(numbers: Tensor, known: Tensor) -> Tensor:
    """Find the position of each number among `known`; the position after the last where it is in no group."""
    return torch.where(numbers < 0, known.numel(), torch.searchsorted(known, numbers))
