"""A fitted model of tables: everything that predicting takes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import Schema
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.model._head import Head

Floats = NDArray[np.float64]

_ROWS_AT_A_TIME = 2048
"""Rows that are encoded and predicted together: their activations stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class TableModel:
    """A table in, predictions out.

    Attributes:
        schema: types the columns of a table.
        encoder: makes a matrix of them.
        ensemble: the networks.
        head: what their outputs say.
    """

    schema: Schema
    encoder: Encoder
    ensemble: Ensemble
    head: Head

    @classmethod
    def of(cls, schema: Schema, encoder: Encoder, ensemble: Ensemble, head: Head) -> Self:
        """The model without the encodings of numbers that none of its networks sees."""
        seen = np.unique(np.concatenate([block.seen for block in ensemble.blocks]))
        small = encoder.with_parts({encoder.columns[i][1] for i in seen})
        left = [i for i, (_, part) in enumerate(encoder.columns) if part in {part for _, part in small.columns}]
        blocks = [replace(block, seen=np.searchsorted(left, block.seen)) for block in ensemble.blocks]
        return cls(schema, small, replace(ensemble, blocks=blocks), head)

    def outputs(self, X: Any, *, name: str = "the model") -> tuple[Floats, Floats]:
        """The ensemble's mean and variance for every row of a table.

        Args:
            X: table of N rows: DataFrame, array or list of rows.
            name: of the model, for messages.

        Returns:
            (N, C) each: probabilities of the classes, or standardised numbers (C = 1), and their variance over members.

        Raises:
            DataError: the table lacks a column, or holds what the model cannot read.
        """
        return self.outputs_of(self.schema.read(X, estimator=name))

    def outputs_of(self, frame: pd.DataFrame) -> tuple[Floats, Floats]:
        """The same for a table that the schema has read."""
        parts = [
            self.ensemble.outputs(self.encoder.encode(frame.iloc[start : start + _ROWS_AT_A_TIME]))
            for start in range(0, max(len(frame), 1), _ROWS_AT_A_TIME)
        ]
        mean_NC, variance_NC = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean_NC, variance_NC

    def predict(self, X: Any) -> NDArray[Any]:
        """The class or the number of every row of a table: (N,)."""
        return self.head.predict(*self.outputs(X))

    def table(self, X: Any) -> pd.DataFrame:
        """A row a row: the prediction, then the probability of each class, or the standard deviation."""
        return pd.DataFrame(self.head.columns(*self.outputs(X)), copy=False)
