"""The part of the estimators that forwards to their fitted model: report, folder, compaction, export."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from thinnet.errors import ModelFolderError
from thinnet.report import Results, write_report
from thinnet.tabular._feature_selector import FeatureSelector
from thinnet.tabular.model._compact import compact_model
from thinnet.tabular.model._compacted import CompactedTable
from thinnet.tabular.model._saved_model import Saved, read_saved, write_model

if TYPE_CHECKING:
    import pandas as pd

    from thinnet.compaction import Exported
    from thinnet.report import Curve, Weights
    from thinnet.tabular.model.onnx._export import Dates


class FittedModel(FeatureSelector, BaseEstimator):  # type: ignore[misc]
    """The part of the estimators that offers what a fit has found, beside predictions.

    Attributes:
        model_: predicts.
        record_: of the fit.
    """

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """A row a configuration, best first."""
        return self.record_.leaderboard

    @property
    def held_out_score_(self) -> float:
        """Score of the ensemble on held-out rows."""
        return self.record_.held_out_score

    @property
    def curves_(self) -> list[Curve]:
        """Training curves of the best and the unregularized configuration."""
        return self.record_.curves

    @property
    def shown_weights_(self) -> list[Weights]:
        """Weights of the best and the unregularized configuration."""
        return self.record_.weights

    def results(self) -> Results:
        """What a report shows of this fit."""
        check_is_fitted(self)
        record, head = self.record_, self.model_.head
        return Results(
            title=record.target,
            task=head.task,
            metric=head.metric,
            facts={**record.facts, f"held-out {head.metric} of the ensemble": f"{record.held_out_score:.4g}"},
            leaderboard=record.leaderboard,
            curves=record.curves,
            weights=record.weights,
            notes=record.notes,
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
        params = {name: v for name, v in self.get_params(deep=False).items() if name not in ("callback", "checkpoint")}
        params["hidden"] = [int(units) for units in params["hidden"]]
        if isinstance(params["random_state"], np.random.RandomState):
            params["random_state"] = None  # its state at the time of the fit is gone
        return write_model(path, self.model_, self.record_, params)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fitted estimator from a folder; executes nothing that it holds.

        Raises:
            ModelFolderError: no model, a damaged one, or one of another kind.
        """
        saved = read_saved(path)
        kind = saved.model.head.estimator
        if kind != cls.__name__:
            raise ModelFolderError(
                f"{path} holds a {kind}, not a {cls.__name__}. Load it with {kind}.load, or with thinnet.tabular.load."
            )
        return cls.of(saved)

    @classmethod
    def of(cls, saved: Saved) -> Self:
        """The estimator around a model that was read."""
        estimator = cls(**{**saved.params, "hidden": tuple(saved.params["hidden"])})
        estimator.model_, estimator.record_ = saved.model, saved.record
        estimator.n_features_in_ = saved.model.schema.width
        if saved.record.features is not None:
            estimator.feature_names_in_ = np.array(saved.record.features, dtype=object)
        return estimator

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
        small = copy.copy(self)
        small.model_, report = compact_model(self.model_)
        return small, report

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
        from thinnet.tabular.model.onnx._export import write_onnx  # brings compaction, which nothing else needs

        return write_onnx(self.model_, path, target=self.record_.target, dates=dates)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        if not self.select_features:
            tags.transformer_tags = None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")
