"""Counter-based random numbers and Bernoulli masks, shared by the packages."""

from thinnet._random._apply_mask import apply_mask, left_to_torch
from thinnet._random._hash import SPLITMIX64_STEP, splitmix64, splitmix64_, splitmix64_array_
from thinnet._random._mask import LEVELS, keep_mask, threshold
from thinnet._random._whole_mask import whole_mask

__all__ = [
    "LEVELS",
    "SPLITMIX64_STEP",
    "apply_mask",
    "keep_mask",
    "left_to_torch",
    "splitmix64",
    "splitmix64_",
    "splitmix64_array_",
    "threshold",
    "whole_mask",
]
