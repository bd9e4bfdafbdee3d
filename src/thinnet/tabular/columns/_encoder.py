"""The encoding of a typed table as the float32 matrix that networks are given."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet.errors import DataError
from thinnet.tabular.columns._one_hot import OneHotEncoder
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder
from thinnet.tabular.columns._robust_scaler import Floats, RobustSmoothScaler
from thinnet.tabular.columns._schema import Schema

Part = Literal["numeric", "bins", "slow", "fast", "missing", "onehot"]
"""What an output column is: a scaled number, a bin or a wave of it, a flag for its absence, or a category."""

ALWAYS_SEEN: tuple[Part, ...] = ("numeric", "missing", "onehot")
"""The parts that say everything there is; the others say it again in another form."""

SLOW, FAST = 1.0, 4.0
"""Spread of the frequencies of slow and fast waves, in radians per standard deviation."""

GROUPING_ROWS = 100
"""Smaller tables keep every category, however rare."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Numbers scaled and binned, their absence flagged, categories one-hot.

    - *numeric*: robust scaling and smooth clipping to [−3, 3]; a missing value becomes the median, which is 0.
    - *bins*: the same numbers piecewise-linear. The bins are fewer where many columns would exceed `max_width`.
    - *slow*, *fast*: the same numbers as sines and cosines, a third of the frequencies low, the others up to high ones.
    - *missing*: 1 where a number is missing, for columns with missing numbers at fit.
    - *onehot*: a column per category, missing being one; rare categories share a column, which unseen ones fall into.
      A column of two categories becomes one number, −1 or 1. An unseen category without a column to fall into is 0.

    Attributes:
        numbers: columns of numbers that vary.
        scaler: of those; None where there are none, as of the next three.
        bins: of those; None for none.
        slow: of those, scaled; None for none.
        fast: of those, scaled; None for none.
        gaps: columns of numbers whose absence is flagged.
        words: the encoder of each column of categories, by name.

    Example:
        >>> from thinnet.tabular.columns._schema import learn
        >>> schema, frame = learn(pd.DataFrame({"size": [1.0, 2.0, None], "kind": ["a", "b", "a"]}))
        >>> encoder = Encoder.fit(frame, schema)
        >>> encoder.columns
        [('size', 'numeric'), ('size', 'missing'), ('kind', 'onehot')]
        >>> encoder.encode(schema.read(pd.DataFrame({"size": [1.5, None], "kind": ["b", "c"]}))).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    numbers: tuple[str, ...]
    scaler: RobustSmoothScaler | None
    bins: PiecewiseLinearEncoder | None
    slow: PeriodicEncoder | None
    fast: PeriodicEncoder | None
    gaps: tuple[str, ...]
    words: Mapping[str, OneHotEncoder]

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        schema: Schema,
        *,
        n_bins: int = 16,
        n_frequencies: int = 0,
        max_categories: int = 64,
        rare: int = 3,
        max_width: int = 1500,
    ) -> Self:
        """Learn from the training rows; nothing is random.

        Args:
            frame: (n, columns in use) as `learn` or `Schema.read` give it.
            schema: the schema that the frame was read by.
            n_bins: largest number of bins per number; 0 for none.
            n_frequencies: largest number of frequencies per number; below 3 for none.
            max_categories: largest number of columns per categorical column.
            rare: categories with fewer rows are grouped (tables under 100 rows keep every category).
            max_width: the width that bins, waves and categories are held to. Scaled numbers and flags are never left
                out, and a categorical column keeps at least 8 categories.

        Raises:
            DataError: no column holds two different values in these rows.
        """
        distinct = frame.nunique()
        numeric = [c.name for c in schema.columns if c.kind in ("numeric", "datetime")]
        varied = tuple(name for name in numeric if distinct[name] > 1)
        gaps = tuple(name for name in numeric if 0 < frame[name].isna().sum() < len(frame))
        categorical = [c.name for c in schema.columns if c.name not in numeric and distinct[c.name] > 1]
        if not (varied or gaps or categorical):
            raise DataError("no column holds two different values in the training rows. Give more rows.")

        free = max_width - len(varied) - len(gaps)
        categories = min(max_categories, max(8, free // (2 * max(len(categorical), 1))))
        free -= sum(min(int(distinct[name]), categories) for name in categorical)
        share = min(1.0, max(free, 0) / max(len(varied) * (n_bins + 2 * n_frequencies), 1))
        bins, waves = int(n_bins * share), int(n_frequencies * share)

        x_ND = _values(frame, varied)
        scaler = RobustSmoothScaler.fit(x_ND) if varied else None
        slow = fast = None
        if scaler is not None and waves >= 3:
            z_ND = np.nan_to_num(scaler.encode(x_ND)).astype(np.float64)
            slow = PeriodicEncoder.fit(z_ND, n_frequencies=waves // 3, scale=SLOW)
            fast = PeriodicEncoder.fit(z_ND, n_frequencies=waves - waves // 3, scale=FAST)
        few = rare if len(frame) >= GROUPING_ROWS else None
        return cls(
            varied,
            scaler,
            PiecewiseLinearEncoder.fit(x_ND, n_bins=bins) if varied and bins >= 2 else None,
            slow,
            fast,
            gaps,
            {name: OneHotEncoder.fit(frame[name], max_categories=categories, rare=few) for name in categorical},
        )

    def with_parts(self, parts: Collection[Part]) -> Encoder:
        """The encoder without bins, slow or fast waves where they are not among these parts."""
        return replace(
            self,
            bins=self.bins if "bins" in parts else None,
            slow=self.slow if "slow" in parts else None,
            fast=self.fast if "fast" in parts else None,
        )

    @cached_property
    def columns(self) -> list[tuple[str, Part]]:
        """Source and part of every output column, in order."""
        widths: dict[Part, list[int]] = {
            "numeric": [1] * len(self.numbers),
            "bins": self.bins.widths if self.bins else [],
            "slow": [self.slow.width] * len(self.numbers) if self.slow else [],
            "fast": [self.fast.width] * len(self.numbers) if self.fast else [],
            "missing": [1] * len(self.gaps),
            "onehot": [encoder.width for encoder in self.words.values()],
        }
        sources = {"missing": self.gaps, "onehot": tuple(self.words)}
        return [
            (name, part)
            for part, counts in widths.items()
            for name, width in zip(sources.get(part, self.numbers), counts, strict=False)
            for _ in range(width)
        ]

    def encode(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Encode the rows, each by itself.

        Args:
            frame: (n, columns in use) as `Schema.read` gives it.

        Returns:
            (n, len(columns)), float32, finite.
        """
        # column by column in memory, as networks are trained on
        encoded = np.empty((len(frame), len(self.columns)), dtype=np.float32, order="F")
        return np.concatenate(list(self._parts(frame)), axis=1, out=encoded)

    def _parts(self, frame: pd.DataFrame) -> Iterator[NDArray[np.float32]]:
        """Every part that there is, in order."""
        if self.scaler is not None:
            x_ND = _values(frame, self.numbers)
            # the scaled median is 0
            z_ND = np.nan_to_num(self.scaler.encode(x_ND))
            yield z_ND
            if self.bins:
                yield self.bins.encode(x_ND)
            for waves in (self.slow, self.fast):
                if waves:
                    yield waves.encode(z_ND.astype(np.float64))
        if self.gaps:
            yield frame[list(self.gaps)].isna().to_numpy(dtype=np.float32)
        for name, words in self.words.items():
            yield words.encode(frame[name])


def _values(frame: pd.DataFrame, names: tuple[str, ...]) -> Floats:
    return frame[list(names)].to_numpy(dtype=np.float64)
