"""What an estimator that chooses columns offers beside predictions: scikit-learn's face of a feature selector."""

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
    from thinnet.tabular.columns._schema import Schema


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
    `n_features_in_`, `schema_` and what `report` shows.
    """

    schema_: Schema
    n_features_in_: int
    metric_: str
    target_name_: str
    facts_: dict[str, str]
    notes_: list[str]
    feature_path_: pd.DataFrame
    feature_strengths_: dict[str, float]

    get_support = available_if(_chooses)(SelectorMixin.get_support)
    get_feature_names_out = available_if(_chooses)(SelectorMixin.get_feature_names_out)
    transform = available_if(_chooses)(SelectorMixin.transform)
    inverse_transform = available_if(_chooses)(SelectorMixin.inverse_transform)
    fit_transform = available_if(_chooses)(TransformerMixin.fit_transform)
    set_output = available_if(_chooses)(SelectorMixin.set_output)

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[[column.position for column in self.schema_.columns]] = True
        return mask

    @available_if(_chooses)  # type: ignore[untyped-decorator]
    def feature_results(self) -> PathResults:
        """What the page of the feature path shows."""
        check_is_fitted(self)
        points = self.feature_path_
        return PathResults(
            title=self.target_name_,
            task="classification" if hasattr(self, "classes_") else "regression",
            metric=self.metric_,
            facts={name: self.facts_[name] for name in ("rows", "columns", "choosing columns")},
            points=points,
            leaves=self.feature_strengths_,
            chosen=[column.name for column in self.schema_.columns],
            strength=float(points.loc[points["chosen"], "strength"].iloc[0]),
            best=float(points.loc[points["best"], "strength"].iloc[0]),
            notes=self.notes_,
        )

    @available_if(_chooses)  # type: ignore[untyped-decorator]
    def feature_report(self, path: str | Path) -> Path:
        """Write the page of the feature path, one HTML file, to `path`."""
        return write_path(self.feature_results(), path)
