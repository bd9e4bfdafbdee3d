"""Rows made up from what an encoder has learnt, to compare two forms of one model where no table is at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import Schema

UNSEEN = "(a category that no table holds)"

_MISSING, _WILD = 0.1, 0.02
"""Shares of cells that are missing, and of numbers far outside of what was learnt."""


def made_up(encoder: Encoder, schema: Schema, rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Rows as `Schema.read` gives them: usual and wild numbers, all categories and unseen ones, cells missing.

    Args:
        encoder: fitted.
        schema: the schema that it was fitted by.
        rows: n.
        seed: of what is random.

    Returns:
        (n, columns in use).
    """
    rng = np.random.default_rng(seed)
    scaler = encoder.scaler
    numbers = dict(zip(encoder.numbers, zip(scaler.center, scaler.scale, strict=True), strict=True)) if scaler else {}
    columns: dict[str, Any] = {}
    for column in schema.columns:
        missing = rng.random(rows) < _MISSING
        if column.kind in ("numeric", "datetime"):
            center, scale = numbers.get(column.name, (0.0, 1.0))
            wild = np.where(rng.random(rows) < _WILD, 1e4, 1.0)
            columns[column.name] = np.where(missing, np.nan, center + scale * wild * rng.normal(size=rows))
        else:
            learnt = encoder.words[column.name].words if column.name in encoder.words else [""]
            known = np.array([*learnt, "", UNSEEN], dtype=object)
            columns[column.name] = known[rng.integers(len(known), size=rows)]
    return pd.DataFrame(columns, copy=False)
