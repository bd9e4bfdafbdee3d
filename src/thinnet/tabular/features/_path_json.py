"""A feature path as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from thinnet._plain_json import to_plain, with_nan
from thinnet.tabular.features._path import FeaturePath, FeatureStep


def path_to_json(path: FeaturePath) -> dict[str, Any]:
    """Convert a path to values that JSON has: None stands for NaN in a step, and for infinity in `leaves`."""
    plain: dict[str, Any] = to_plain({**asdict(path), "leaves": list(path.leaves.items())})
    return plain


def path_from_json(plain: dict[str, Any]) -> FeaturePath:
    """Convert what `path_to_json` gave to a path."""
    steps = tuple(FeatureStep(**step) for step in with_nan(plain["steps"]))
    leaves = {name: math.inf if strength is None else strength for name, strength in plain["leaves"]}
    return FeaturePath(**{**plain, "steps": steps, "leaves": leaves, "chosen": tuple(plain["chosen"])})
