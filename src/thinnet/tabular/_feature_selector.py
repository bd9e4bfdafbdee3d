"""Scikit-learn's interface of a feature selector, for estimators that select columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from thinnet.report import PathResults, write_path

if TYPE_CHECKING:
    from thinnet.tabular.model._fit_record import FitRecord
    from thinnet.tabular.model._table_model import TableModel


def _chooses(estimator: Any) -> bool:
    """Whether the estimator chooses columns, and so transforms tables; says why where not."""
    if not estimator.select_features:
        name = type(estimator).__name__
        raise AttributeError(f"this {name} chooses no columns; give select_features=True.")
    return True


# None: what is only there at times is wrapped where it is defined, in SelectorMixin, and not once more
class FeatureSelector(SelectorMixin, auto_wrap_output_keys=None):  # type: ignore[misc, call-arg]
    """`get_support`, `transform` and their kind, there with `select_features=True` only.

    `transform` gives the chosen columns as they came. What it needs of the estimator is `select_features`,
    `n_features_in_`, the fitted model and the record of its fit.
    """

    n_features_in_: int
    model_: TableModel
    record_: FitRecord

    @property
    def target_name_(self) -> str:
        """Name of the target."""
        return self.record_.target

    @property
    def facts_(self) -> dict[str, str]:
        """What was fitted, in words."""
        return self.record_.facts

    @property
    def notes_(self) -> list[str]:
        """What the reader should know."""
        return self.record_.notes

    @property
    def feature_path_(self) -> pd.DataFrame:
        """A row a strength, where columns were chosen."""
        if self.record_.feature_path is None:
            raise AttributeError(f"this {type(self).__name__} chose no columns, so it has no feature_path_.")
        return self.record_.feature_path

    @property
    def feature_strengths_(self) -> dict[str, float]:
        """The strength from which on each column is left out, where columns were chosen."""
        if self.record_.feature_strengths is None:
            raise AttributeError(f"this {type(self).__name__} chose no columns, so it has no feature_strengths_.")
        return self.record_.feature_strengths

    get_support = available_if(_chooses)(SelectorMixin.get_support)
    get_feature_names_out = available_if(_chooses)(SelectorMixin.get_feature_names_out)
    transform = available_if(_chooses)(SelectorMixin.transform)
    inverse_transform = available_if(_chooses)(SelectorMixin.inverse_transform)
    fit_transform = available_if(_chooses)(TransformerMixin.fit_transform)
    set_output = available_if(_chooses)(SelectorMixin.set_output)

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[[column.position for column in self.model_.schema.columns]] = True
        return mask

    @available_if(_chooses)  # type: ignore[untyped-decorator]
    def feature_results(self) -> PathResults:
        """What the page of the feature path shows."""
        check_is_fitted(self)
        points = self.feature_path_
        return PathResults(
            title=self.target_name_,
            task=self.model_.head.task,
            metric=self.model_.head.metric,
            facts={name: self.facts_[name] for name in ("rows", "columns", "choosing columns")},
            points=points,
            leaves=self.feature_strengths_,
            chosen=[column.name for column in self.model_.schema.columns],
            strength=float(points.loc[points["chosen"], "strength"].iloc[0]),
            best=float(points.loc[points["best"], "strength"].iloc[0]),
            notes=self.notes_,
        )

    @available_if(_chooses)  # type: ignore[untyped-decorator]
    def feature_report(self, path: str | Path) -> Path:
        """Write the page of the feature path, one HTML file, to `path`."""
        return write_path(self.feature_results(), path)
