"""One-hot encoding of one column of categories, rare ones grouped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class OneHotEncoder:
    """One column of categories becomes a column per category, missing ("") being one.

    Rare categories share the last column, which unseen ones fall into; where none is rare, an unseen one is 0
    throughout. Two columns become one of −1 or 1, since they say the same; a single one says nothing and is left out.

    Attributes:
        words: the categories seen at fit, sorted.
        places: the column of each of them.
        grouped: whether the last column is that of the rare ones.

    Example:
        >>> encoder = OneHotEncoder.fit(pd.Series(["a", "b", "c", "a", "b", "c", "d"]), max_categories=8, rare=2)
        >>> encoder.encode(pd.Series(["a", "d", "never seen"])).tolist()
        [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]
    """

    words: Sequence[str]
    places: Sequence[int]
    grouped: bool

    @classmethod
    def fit(cls, cells: pd.Series[Any], *, max_categories: int, rare: int | None) -> Self:
        """Learn the categories of a column of texts.

        Args:
            cells: the training values.
            max_categories: largest number of columns.
            rare: categories with fewer rows are grouped; None groups none for that reason.
        """
        words, counts = np.unique(cells.to_numpy(dtype=object), return_counts=True)
        few = counts < (rare or 0)
        if max_categories < (~few).sum() + 1:  # the rare ones' column counts, whether or not there are any
            kept = max_categories - 1
            few[np.argsort(counts, kind="stable")[: len(counts) - kept]] = True
        places = np.where(few, (~few).sum(), np.cumsum(~few) - 1)
        return cls([str(word) for word in words], places.tolist(), bool(few.any()))

    @property
    def width(self) -> int:
        """Output columns."""
        return int(self._outcomes.shape[1])

    def encode(self, cells: pd.Series[Any]) -> NDArray[np.float32]:
        """Encode texts: (N,) to (N, width)."""
        # an unseen category is at -1, the last outcome
        return self._outcomes[self._index.get_indexer(pd.Index(cells, dtype=object))]

    @cached_property
    def _index(self) -> pd.Index[Any]:
        return pd.Index(self.words, dtype=object)

    @cached_property
    def _outcomes(self) -> NDArray[np.float32]:
        """What becomes of every category, and of an unseen one: (len(words) + 1, width)."""
        count = max(self.places) + 1
        outcomes = np.zeros((len(self.words) + 1, count), dtype=np.float32)
        outcomes[np.arange(len(self.words)), self.places] = 1
        if self.grouped:
            outcomes[-1, -1] = 1
        return outcomes if count > 2 else outcomes[:, 1:] - outcomes[:, :1] if count == 2 else outcomes[:, :0]
