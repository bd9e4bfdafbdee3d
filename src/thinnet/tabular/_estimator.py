"""Scikit-learn estimators for tables: ensembles of regularized networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from thinnet.errors import DataError
from thinnet.tabular._budget import Budget
from thinnet.tabular._fit import fit_population
from thinnet.tabular._fitted_mixin import FittedModel
from thinnet.tabular._progress import Progress
from thinnet.tabular._validate_parameters import check_parameters
from thinnet.tabular.columns._data_errors import as_data_error
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import learn
from thinnet.tabular.columns._target import Target, read_classes, read_numbers
from thinnet.tabular.features._choose import afterwards, choose_columns, narrowed_schema, shown_path, told
from thinnet.tabular.model._fit_record import FitRecord
from thinnet.tabular.model._head import ClassHead, Head, NumberHead
from thinnet.tabular.model._predictive_variance import PredictiveVariance
from thinnet.tabular.model._table_model import TableModel
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._folds import stratified_folds
from thinnet.tabular.population._settings import Settings

Floats = NDArray[np.float64]

_WIDTH = 640
"""Columns that encodings are held to: the first layers' cost grows with them."""


class _ThinNet(FittedModel, ABC):
    """What classifier and regressor share."""

    def __init__(
        self,
        *,
        time_limit: float | None = 60.0,
        n_configurations: int = 24,
        n_rounds: int = 3,
        cv: int = 5,
        hidden: Sequence[int] = (128, 128),
        n_bins: int = 16,
        n_frequencies: int = 18,
        max_steps: int = 4000,
        batch_size: int | None = None,
        select_features: bool = False,
        polish: bool = False,
        refit: bool = False,
        random_state: int | np.random.RandomState | None = None,
        callback: Callable[[Progress], object] | None = None,
        checkpoint: str | Path | None = None,
    ) -> None:
        self.time_limit = time_limit
        self.n_configurations = n_configurations
        self.n_rounds = n_rounds
        self.cv = cv
        self.hidden = hidden
        self.n_bins = n_bins
        self.n_frequencies = n_frequencies
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.select_features = select_features
        self.polish = polish
        self.refit = refit
        self.random_state = random_state
        self.callback = callback
        self.checkpoint = checkpoint

    @abstractmethod
    def _read_target(self, y: Any) -> tuple[Target, Head]:
        """The target, and what becomes of outputs that are trained on it."""

    def fit(self, X: Any, y: Any) -> Self:
        """Train the population and select the ensemble.

        Ctrl-C ends the training early: the estimator is then fitted with the best found so far, and KeyboardInterrupt
        goes on to the caller. A second Ctrl-C acts at once.

        Args:
            X: table of n rows: DataFrame, array or list of rows.
            y: n targets; rows without one are left out.

        Raises:
            DataError: the data cannot be used; the message says where and the remedy.
            ParameterError: a parameter cannot be used.
        """
        budget = Budget(self.time_limit)
        check_parameters(self)
        if y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        target, head = self._read_target(y)
        schema, frame = learn(X, rows=target.present)
        if len(frame) < self.cv:
            raise DataError(
                f"{len(frame)} rows with a target (n_samples={len(frame)}) are fewer than the cv={self.cv} folds. "
                f"Lower cv to at most {len(frame)}, or give more rows."
            )
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # of an earlier fit: one that is interrupted now must not seem to be fitted
        with as_data_error():
            validate_data(self, X, skip_check_array=True)  # names and number of columns
        y_N, outputs = torch.from_numpy(target.encoded), target.outputs
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        fold_N = stratified_folds(target.strata, len(frame), self.cv, seed)
        notes = [f"column {d.column!r} left out: {d.reason}" for d in schema.dropped]
        callback, metadata = self.callback, ""
        if self.select_features:
            chosen = choose_columns(
                schema,
                frame,
                (y_N, outputs),
                fold_N,
                n_bins=self.n_bins,
                width=_WIDTH,
                seed=seed,
                budget=budget,
                units=head.units,
                callback=callback,
                checkpoint=self.checkpoint,
            )
            schema = narrowed_schema(schema, chosen.path)
            frame = frame[[column.name for column in schema.columns]]
            notes += told(chosen.path)
            callback, metadata = afterwards(callback), chosen.metadata
        encoder = Encoder.fit(frame, schema, n_bins=self.n_bins, n_frequencies=self.n_frequencies, max_width=_WIDTH)
        x_ND = torch.from_numpy(encoder.encode(frame))
        problem = Problem(x_ND, y_N, fold_N, outputs, np.array([part for _, part in encoder.columns]))
        settings = Settings.of(self, len(frame), seed)
        fitted = fit_population(problem, settings, budget, head.units, callback, self.checkpoint, metadata)
        head = head.fitted(fitted.oof_mean_NC, fitted.oof_variance_NC, target.encoded)
        self.model_ = TableModel.of(schema, encoder, fitted.ensemble, head)
        facts = {
            "rows": f"{len(frame):,}",
            "columns": f"{len(schema.columns)} used, {len(schema.dropped)} left out",
            "networks": f"{fitted.configurations} configurations of regularizers in {self.cv} folds",
            "time": f"{budget.elapsed:.0f} s",
        }
        if self.select_features:
            facts["choosing columns"] = f"{chosen.seconds:.0f} s"
        notes += [*schema.notes, *fitted.notes]
        if fitted.leaderboard["epochs"].iloc[0] < 1:
            notes.append("less than one pass over the rows fitted into the time: a higher limit will do better")
        if target.left_out:
            notes.append(f"{target.left_out:,} rows without a target left out")
        if fitted.interrupted:
            notes.append("training was interrupted: this is the best found until then")
        self.record_ = FitRecord(
            target=str(getattr(y, "name", None) or "target"),
            features=getattr(self, "feature_names_in_", None),
            facts=facts,
            notes=notes,
            held_out_score=head.score(fitted.oof_mean_NC, target.encoded),
            leaderboard=fitted.leaderboard,
            curves=fitted.curves,
            weights=fitted.weights,
            feature_path=shown_path(chosen.path, head.units) if self.select_features else None,
            feature_strengths=chosen.path.leaves if self.select_features else None,
        )
        if fitted.interrupted:
            raise KeyboardInterrupt
        return self

    def _outputs(self, X: Any) -> tuple[Floats, Floats]:
        """The ensemble's mean and variance for a table."""
        check_is_fitted(self)
        return self.model_.outputs(X, name=type(self).__name__)


class ThinNetClassifier(ClassifierMixin, _ThinNet):  # type: ignore[misc]
    """A classifier for tables: many differently regularized networks, trained as one and selected by held-out loss.

    Mixed column types, missing values and unseen categories are understood. Every configuration of regularizers is
    trained on every fold and stopped on the rows it did not see; an ensemble of the best, by greedy selection on those
    rows, predicts:

    `p(y|x) ∝ (Σ_k w_k softmax(f_k(x) / T_k))^(1/T)`, with `w_k >= 0`, `Σ_k w_k = 1` and temperatures T that make the
    held-out probabilities fit best.

    Args:
        time_limit: seconds that `fit` may take, kept to within a fifth; None is no limit. A fit that ends before it
            repeats exactly under the same `random_state`.
        n_configurations: number of configurations of regularizers: the textbook's one by one, then random ones.
        n_rounds: populations trained one after the other; each after the first is half as large, and consists of small
            variations of the best configurations so far.
        cv: folds; every configuration is trained once per fold.
        hidden: units of each hidden layer.
        n_bins: bins of the piecewise-linear encoding of numbers, which part of the configurations see; 0 is none.
        n_frequencies: frequencies of the periodic encoding of numbers, which part of the configurations see; below 3 is
            none.
        max_steps: most optimizer steps of any member.
        batch_size: rows a step; None is a fortieth of the table, from 32 to 256.
        select_features: whether to choose columns first, and to train on those alone. A regularization path
            of a group lasso on the inputs of a small network removes column after column; kept are those of the
            strongest penalty within one standard error of the best. Takes up to 0.3 of the time. The estimator then is
            a feature selector, too: `transform` gives the chosen columns.
        polish: whether configurations that make zeros (L1, elastic net, group lasso) continue, best first, with
            full-batch proximal steps and no dropout, so that weights that minibatch noise holds off zero become zero.
            The result is another candidate for the ensemble. Takes up to 0.15 of the time.
        refit: whether configurations with zeros continue, best first (polished, where both are asked for), with
            their zeros held and without the penalty that made them, stopped early on held-out rows: the remaining
            weights are no longer shrunk. Candidates and time as for `polish`.
        random_state: seed of everything random.
        callback: called with a `Progress` throughout the fit.
        checkpoint: a file that holds the unfinished training while `fit` runs. A fit that finds it there, of the same
            data and parameters, continues from it, and its time counts; a fit that ends removes it. None is no file.

    Attributes:
        classes_: the labels, sorted.
        leaderboard_: DataFrame, a row for each configuration and for each that was polished or refit, best first:
            regularizers, train and held-out log loss, their gap, the share of weights that are exactly zero, weight in
            the ensemble, epochs.
        held_out_score_: log loss of the ensemble on held-out rows; selection makes it slightly optimistic.
        notes_: what the reader should know: columns left out, rows without a target.
        n_features_in_: columns of the table.
        feature_names_in_: their names, for a DataFrame.
        feature_path_: with `select_features`, a DataFrame, a row a strength: held-out log loss and its standard error,
            columns left, share of the input weights that are zero, their norm, whether training diverged, and whether
            it is the best or the chosen one.
        feature_strengths_: with `select_features`, the strength from which on each column is left out; infinite for
            one that never is.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from thinnet.tabular import ThinNetClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = ThinNetClassifier(n_configurations=4, cv=3, max_steps=150, random_state=0).fit(X, y)
        >>> clf.predict_proba(X).sum(axis=1).round(6).min()  # probabilities sum to one
        np.float64(1.0)
        >>> bool(clf.held_out_score_ < 0.2)  # guessing is log 3 = 1.1
        True

    References:
        R. Caruana et al., "Ensemble Selection from Libraries of Models", 2004.
        A. Kadra et al., "Well-tuned Simple Nets Excel on Tabular Datasets", 2021.
        Y. Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
    """

    metric_ = ClassHead.metric

    def _read_target(self, y: Any) -> tuple[Target, Head]:
        target = read_classes(y)
        return target, ClassHead(target.classes)

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, sorted."""
        head = self.model_.head
        assert isinstance(head, ClassHead)
        return head.classes

    def predict_proba(self, X: Any) -> Floats:
        """Probability of every class, in the order of `classes_`: (n, C)."""
        return self._outputs(X)[0]

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of every row: (n,)."""
        outputs = self._outputs(X)
        return self.model_.head.predict(*outputs)


class ThinNetRegressor(RegressorMixin, _ThinNet):  # type: ignore[misc]
    """A regressor for tables: many differently regularized networks, trained as one and selected by held-out loss.

    Mixed column types, missing values and unseen categories are understood. Every configuration of regularizers is
    trained on every fold and stopped on the rows it did not see; an ensemble of the best, by greedy selection on those
    rows, predicts `ŷ(x) = Σ_k w_k f_k(x)`, with `w_k >= 0`, `Σ_k w_k = 1`.

    Args:
        time_limit: seconds that `fit` may take, kept to within a fifth; None is no limit. A fit that ends before it
            repeats exactly under the same `random_state`.
        n_configurations: number of configurations of regularizers: the textbook's one by one, then random ones.
        n_rounds: populations trained one after the other; each after the first is half as large, and consists of small
            variations of the best configurations so far.
        cv: folds; every configuration is trained once per fold.
        hidden: units of each hidden layer.
        n_bins: bins of the piecewise-linear encoding of numbers, which part of the configurations see; 0 is none.
        n_frequencies: frequencies of the periodic encoding of numbers, which part of the configurations see; below 3 is
            none.
        max_steps: most optimizer steps of any member.
        batch_size: rows a step; None is a fortieth of the table, from 32 to 256.
        select_features: whether to choose columns first, and to train on those alone. A regularization path
            of a group lasso on the inputs of a small network removes column after column; kept are those of the
            strongest penalty within one standard error of the best. Takes up to 0.3 of the time. The estimator then is
            a feature selector, too: `transform` gives the chosen columns.
        polish: whether configurations that make zeros (L1, elastic net, group lasso) continue, best first, with
            full-batch proximal steps and no dropout, so that weights that minibatch noise holds off zero become zero.
            The result is another candidate for the ensemble. Takes up to 0.15 of the time.
        refit: whether configurations with zeros continue, best first (polished, where both are asked for), with
            their zeros held and without the penalty that made them, stopped early on held-out rows: the remaining
            weights are no longer shrunk. Candidates and time as for `polish`.
        random_state: seed of everything random.
        callback: called with a `Progress` throughout the fit.
        checkpoint: a file that holds the unfinished training while `fit` runs. A fit that finds it there, of the same
            data and parameters, continues from it, and its time counts; a fit that ends removes it. None is no file.

    Attributes:
        leaderboard_: DataFrame, a row for each configuration and for each that was polished or refit, best first:
            regularizers, train and held-out RMSE, their gap, the share of weights that are exactly zero, weight in the
            ensemble, epochs.
        held_out_score_: RMSE of the ensemble on held-out rows; selection makes it slightly optimistic.
        notes_: what the reader should know: columns left out, rows without a target.
        n_features_in_: columns of the table.
        feature_names_in_: their names, for a DataFrame.
        feature_path_: with `select_features`, a DataFrame, a row a strength: held-out RMSE and its standard error,
            columns left, share of the input weights that are zero, their norm, whether training diverged, and whether
            it is the best or the chosen one.
        feature_strengths_: with `select_features`, the strength from which on each column is left out; infinite for
            one that never is.

    Example:
        >>> import numpy as np
        >>> from thinnet.tabular import ThinNetRegressor
        >>> X = np.linspace(-1, 1, 120)[:, None]
        >>> reg = ThinNetRegressor(n_configurations=4, cv=3, max_steps=150, random_state=0).fit(X, 3 * X[:, 0])
        >>> bool(abs(reg.predict([[0.5]])[0] - 1.5) < 0.1)  # 3 · 0.5
        True

    References:
        R. Caruana et al., "Ensemble Selection from Libraries of Models", 2004.
        A. Kadra et al., "Well-tuned Simple Nets Excel on Tabular Datasets", 2021.
        Y. Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
    """

    metric_ = NumberHead.metric

    def _read_target(self, y: Any) -> tuple[Target, Head]:
        target = read_numbers(y)
        return target, NumberHead(
            target.mean, target.scale, PredictiveVariance(0.0, 1.0)
        )  # until held-out errors are known

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The predicted numbers: (n,); with `return_std` a pair of them and their standard deviations.

        The deviation is that of the target around the prediction: the networks' disagreement and the noise that is
        left, both scaled to the errors on held-out rows.
        """
        mean_N1, variance_N1 = self._outputs(X)
        head = self.model_.head
        assert isinstance(head, NumberHead)
        numbers = head.predict(mean_N1, variance_N1)
        return (numbers, head.std(variance_N1)) if return_std else numbers
