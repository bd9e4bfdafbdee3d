"""Output heads: an ensemble's outputs as probabilities of classes, or as numbers in the target's units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from thinnet.tabular.model._predictive_variance import PredictiveVariance

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassHead:
    """The head of a classifier.

    Attributes:
        classes: (C,) the labels, sorted, in the order of the outputs.
    """

    task: ClassVar[Literal["classification"]] = "classification"
    metric: ClassVar[str] = "log loss"
    estimator: ClassVar[str] = "ThinNetClassifier"

    classes: NDArray[Any]

    def units(self, loss: float) -> float:
        """The trained loss as the score that is shown: itself."""
        return loss

    def score(self, mean_NC: Floats, y_N: NDArray[Any]) -> float:
        """Log loss of probabilities for rows whose classes are known."""
        return float(-np.log(np.clip(mean_NC[np.arange(len(y_N)), y_N], 1e-15, None)).mean())

    def fitted(self, mean_NC: Floats, variance_NC: Floats, y_N: NDArray[Any]) -> Self:
        """The head after it has seen held-out predictions: the same one."""
        return self

    def predict(self, mean_NC: Floats, variance_NC: Floats) -> NDArray[Any]:
        """The most probable class of every row."""
        labels: NDArray[Any] = self.classes[mean_NC.argmax(1)]
        return labels

    def columns(self, mean_NC: Floats, variance_NC: Floats) -> dict[str, NDArray[Any]]:
        """The columns of a table of predictions: the class, and the probability of each."""
        probabilities = {f"p_{label}": p_N for label, p_N in zip(self.classes, mean_NC.T, strict=True)}
        return {"prediction": self.predict(mean_NC, variance_NC), **probabilities}


@dataclass(frozen=True, eq=False)
class NumberHead:
    """The head of a regressor: value = mean + scale · output.

    Attributes:
        mean: of the target.
        scale: its standard deviation.
        variance: that of the target around the prediction, in units of scale².
    """

    task: ClassVar[Literal["regression"]] = "regression"
    metric: ClassVar[str] = "RMSE"
    estimator: ClassVar[str] = "ThinNetRegressor"

    mean: float
    scale: float
    variance: PredictiveVariance

    def units(self, loss: float) -> float:
        """The trained loss, the mean square of standardised errors, as the RMSE in the target's units."""
        return float(np.sqrt(loss) * self.scale)

    def score(self, mean_NC: Floats, y_N: NDArray[Any]) -> float:
        """RMSE in the target's units of outputs for rows whose standardised numbers are known."""
        return self.units(float(np.mean((mean_NC[:, 0] - y_N) ** 2)))

    def fitted(self, mean_NC: Floats, variance_NC: Floats, y_N: NDArray[Any]) -> Self:
        """The head with a predictive variance that fits the errors of held-out predictions."""
        return replace(self, variance=PredictiveVariance.fit(mean_NC[:, 0] - y_N, variance_NC[:, 0]))

    def predict(self, mean_NC: Floats, variance_NC: Floats) -> Floats:
        """The predicted number of every row."""
        numbers: Floats = self.mean + self.scale * mean_NC[:, 0]
        return numbers

    def std(self, variance_NC: Floats) -> Floats:
        """Standard deviation of the target around every prediction."""
        deviations: Floats = self.scale * self.variance.std(variance_NC[:, 0])
        return deviations

    def columns(self, mean_NC: Floats, variance_NC: Floats) -> dict[str, NDArray[Any]]:
        """The columns of a table of predictions: the number, and its standard deviation."""
        return {"prediction": self.predict(mean_NC, variance_NC), "std": self.std(variance_NC)}


Head = ClassHead | NumberHead
