"""A typed table becomes the float32 matrix that a network reads."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from thinnet.errors import DataError
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder
from thinnet.tabular.columns._robust_scaler import RobustSmoothScaler
from thinnet.tabular.columns._schema import Schema

Part = Literal["numeric", "bins", "slow", "fast", "missing", "onehot"]
"""What an output column is: a scaled number, a bin or a wave of it, a flag for its absence, or a category."""

ALWAYS_SEEN: tuple[Part, ...] = ("numeric", "missing", "onehot")
"""The parts that say everything there is; the others say it again in another form."""

SLOW, FAST = 1.0, 4.0
"""Spread of the frequencies of slow and fast waves, in radians per standard deviation."""

GROUPING_ROWS = 100
"""Smaller tables keep every category, however rare."""


class Encoder:
    """Numbers scaled and binned, their absence flagged, categories one-hot.

    - *numeric*: robust scaling and smooth clipping to [−3, 3]; a missing value becomes the median, which is 0.
    - *bins*: the same numbers piecewise-linear. The bins are fewer where many columns would exceed `max_width`.
    - *slow*, *fast*: the same numbers as sines and cosines, a third of the frequencies low, the others up to high ones.
    - *missing*: 1 where a number is missing, for columns with missing numbers at fit.
    - *onehot*: a column per category, missing being one; rare categories share a column, which unseen ones fall into.
      A column of two categories becomes one number, −1 or 1. An unseen category without a column to fall into is 0.

    All statistics come from the rows given to `fit`; nothing is random.

    Args:
        n_bins: largest number of bins per number; 0 for none.
        n_waves: largest number of frequencies per number; below 3 for none.
        max_categories: largest number of columns per categorical column.
        rare: categories with fewer rows are grouped (tables under 100 rows keep every category).
        max_width: the width that bins, waves and categories are held to. Scaled numbers and flags are never left out,
            and a categorical column keeps at least 8 categories.

    Attributes:
        columns_: list, aligned with the output columns, of (name of the source column, part).

    Example:
        >>> from thinnet.tabular.columns._schema import learn
        >>> schema, frame = learn(pd.DataFrame({"size": [1.0, 2.0, None], "kind": ["a", "b", "a"]}))
        >>> encoder = Encoder().fit(frame, schema)
        >>> encoder.columns_
        [('size', 'numeric'), ('size', 'missing'), ('kind', 'onehot')]
        >>> encoder.transform(schema.read(pd.DataFrame({"size": [1.5, None], "kind": ["b", "c"]}))).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        *,
        n_bins: int = 16,
        n_waves: int = 0,
        max_categories: int = 64,
        rare: int = 3,
        max_width: int = 1500,
    ) -> None:
        self.n_bins = n_bins
        self.n_waves = n_waves
        self.max_categories = max_categories
        self.rare = rare
        self.max_width = max_width

    def fit(self, frame: pd.DataFrame, schema: Schema) -> Self:
        """Learns from the training rows.

        Args:
            frame: (n, columns in use) as `learn` or `Schema.read` give it.
            schema: the schema that the frame was read by.

        Raises:
            DataError: no column holds two different values in these rows.
        """
        distinct = frame.nunique()
        numeric = [c.name for c in schema.columns if c.kind in ("numeric", "datetime")]
        varied = [name for name in numeric if distinct[name] > 1]
        gaps = [name for name in numeric if 0 < frame[name].isna().sum() < len(frame)]
        categorical = [c.name for c in schema.columns if c.name not in numeric and distinct[c.name] > 1]
        if not (varied or gaps or categorical):
            raise DataError("no column holds two different values in the training rows. Give more rows.")

        free = self.max_width - len(varied) - len(gaps)
        categories = min(self.max_categories, max(8, free // (2 * max(len(categorical), 1))))
        free -= sum(min(int(distinct[name]), categories) for name in categorical)
        wanted = max(len(varied) * (self.n_bins + 2 * self.n_waves), 1)
        share = min(1.0, max(free, 0) / wanted)
        bins, waves = int(self.n_bins * share), int(self.n_waves * share)
        # the scaled median is 0
        at_median = SimpleImputer(strategy="constant", fill_value=0.0)
        parts: list[tuple[str, Any, list[str]]] = [
            ("numeric", make_pipeline(RobustSmoothScaler(), at_median), varied),
            ("missing", MissingIndicator(features="all"), gaps),
            ("onehot", _one_hot(categories, self.rare if len(frame) >= GROUPING_ROWS else None), categorical),
        ]
        if waves >= 3:
            for part, count, scale in (("fast", waves - waves // 3, FAST), ("slow", waves // 3, SLOW)):
                wave = make_pipeline(RobustSmoothScaler(), at_median, PeriodicEncoder(count, scale=scale))
                parts.insert(1, (part, wave, varied))
        if bins >= 2:
            parts.insert(1, ("bins", PiecewiseLinearEncoder(bins), varied))
        self.transformer_ = ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)
        self.transformer_.set_output(transform="default").fit(frame)
        self._describe()
        return self

    def _describe(self) -> None:
        """Source and part of every column that comes out, and which pairs of one-hot columns become one."""
        columns: list[tuple[str, Part]] = []
        keep: list[bool] = []
        signed: list[int] = []
        for part, transformer, names in self.transformer_.transformers_:
            if part == "remainder":
                continue
            if part == "bins":
                widths = transformer.n_columns_.tolist()
            elif part == "onehot":
                widths = _one_hot_widths(transformer)
            elif part in ("slow", "fast"):
                widths = [2 * transformer[-1].n_frequencies] * len(names)
            else:
                widths = [1] * len(names)
            for name, width in zip(names, widths, strict=True):
                binary = part == "onehot" and width == 2
                if binary:
                    signed.append(len(keep) + 1)
                # a single one-hot column is 1 in every row
                kept = [not binary and not (part == "onehot" and width == 1)] * width
                keep += [False, True] if binary else kept
                columns += [(name, part)] * width
        self.columns_ = [column for column, kept in zip(columns, keep, strict=True) if kept]
        self.kept_ = np.flatnonzero(keep)
        self.signed_ = np.array(signed, dtype=np.intp)

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """The rows encoded, each by itself.

        Args:
            frame: (n, columns in use) as `Schema.read` gives it.

        Returns:
            (n, len(columns_)), float32, finite.
        """
        encoded = np.asarray(self.transformer_.transform(frame), dtype=np.float32)
        encoded[:, self.signed_] -= encoded[:, self.signed_ - 1]
        kept: NDArray[np.float32] = encoded[:, self.kept_]
        return kept


def _one_hot(max_categories: int, rare: int | None) -> OneHotEncoder:
    return OneHotEncoder(
        sparse_output=False,
        dtype=np.float32,
        handle_unknown="infrequent_if_exist",
        max_categories=max_categories,
        min_frequency=rare,
    )


def _one_hot_widths(encoder: OneHotEncoder) -> list[int]:
    """Output columns per input column: all rare categories share one."""
    pairs = zip(encoder.categories_, encoder.infrequent_categories_, strict=True)
    return [len(all_) - (0 if rare is None else len(rare) - 1) for all_, rare in pairs]
