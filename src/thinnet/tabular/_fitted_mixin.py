"""What a fitted estimator offers beside predictions: its report, its folder, its smaller self, its one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from thinnet.compaction import Exported
from thinnet.report import Results, write_report
from thinnet.tabular._feature_selector import FeatureSelector
from thinnet.tabular.model._compact import compact_estimator
from thinnet.tabular.model._compacted import CompactedTable
from thinnet.tabular.model._save_load import read_estimator, write_estimator
from thinnet.tabular.model.onnx._export import Dates, write_onnx

if TYPE_CHECKING:
    import pandas as pd

    from thinnet.report import Curve, Weights


class FittedModel(FeatureSelector, BaseEstimator):  # type: ignore[misc]
    """The part of the estimators that looks at what a fit has left; predictions are theirs."""

    held_out_score_: float
    leaderboard_: pd.DataFrame
    curves_: list[Curve]
    shown_weights_: list[Weights]

    def results(self) -> Results:
        """What a report shows of this fit."""
        check_is_fitted(self)
        return Results(
            title=self.target_name_,
            task="classification" if hasattr(self, "classes_") else "regression",
            metric=self.metric_,
            facts={**self.facts_, f"held-out {self.metric_} of the ensemble": f"{self.held_out_score_:.4g}"},
            leaderboard=self.leaderboard_,
            curves=self.curves_,
            weights=self.shown_weights_,
            notes=self.notes_,
        )

    def report(self, path: str | Path) -> Path:
        """Write the report, one HTML page, to `path`."""
        return write_report(self.results(), path)

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to a folder, whole or not at all; `load` reads it.

        Raises:
            ModelFolderError: the place holds something else, or cannot be written.
        """
        check_is_fitted(self)
        return write_estimator(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fitted estimator from a folder; executes nothing that it holds.

        Raises:
            ModelFolderError: no model, a damaged one, or one of another kind.
        """
        return read_estimator(path, cls)

    def compact(self) -> tuple[Self, CompactedTable]:
        r"""The same predictions from smaller networks: dead nodes go, and inputs that a network does not read.

        A hidden node goes when every weight that leads from it is zero, or when every weight that leads to it is: it is
        then a constant, which goes into the biases of the next layer. Predictions for made-up rows are compared:
        :math:`\max |y' - y| \le 10^{-5} \max |y|`.

        Returns:
            A fitted estimator with the smaller networks, and what was done, which prints. This one is not changed.

        Raises:
            NotCompactableError: the smaller networks would predict something else.
        """
        check_is_fitted(self)
        return compact_estimator(self)

    def export_onnx(self, path: str | Path, *, dates: Dates = "refuse") -> Exported:
        """Write the fitted estimator as one ONNX file, its preprocessing included, which runs without Python.

        The file takes every column in use as an input of its name, one value a row each: numbers as float64 with NaN
        for a missing one (durations in days), categories as text with "" for a missing one (2.0 as "2"; "nan", "NaN",
        "NaT" and "<NA>" are missing, too; an unseen category is understood). A classifier gives `label` and
        `probabilities`, in the order of `classes_`; a regressor `prediction` and `std`. What the estimator refuses,
        such as infinite numbers, the file does not.

        Before it takes its place, the file is run by onnxruntime on made-up rows, with missing cells, wild numbers and
        unseen categories among them: no output may be off by more than 1e-4 of the largest.

        Args:
            path: the file; one that stands there is replaced.
            dates: what becomes of columns of dates, which ONNX has no operation to read: "refuse" them, or let the
                file take "days" since 1970-01-01 UTC in their place.

        Returns:
            What was written, which prints.

        Raises:
            NotExportableError: a column holds dates or has no name, or the file is not equal; nothing was written.
            OSError: there is no such folder, or it cannot be written.
            ModuleNotFoundError: the extra is not installed: `pip install "thinnet[onnx]"`.
        """
        check_is_fitted(self)
        return write_onnx(self, path, dates=dates)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        if not self.select_features:
            tags.transformer_tags = None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "ensemble_")
