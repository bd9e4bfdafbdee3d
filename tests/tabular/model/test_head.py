import numpy as np
import pytest

from thinnet.tabular.model._head import ClassHead, NumberHead
from thinnet.tabular.model._predictive_variance import PredictiveVariance

CLASSES = ClassHead(np.array(["no", "yes"]))
NUMBERS = NumberHead(10.0, 2.0, PredictiveVariance(4.0, 9.0))
P = np.array([[0.25, 0.75], [0.9, 0.1]])
ZERO = np.zeros((2, 2))


def test_classes() -> None:
    assert CLASSES.predict(P, ZERO).tolist() == ["yes", "no"]
    assert CLASSES.score(P, np.array([1, 1])) == pytest.approx(-(np.log(0.75) + np.log(0.1)) / 2)
    assert CLASSES.score(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-15))
    assert CLASSES.units(0.3) == 0.3
    assert CLASSES.fitted(P, ZERO, np.array([1, 0])) is CLASSES
    table = CLASSES.columns(P, ZERO)
    assert list(table) == ["prediction", "p_no", "p_yes"]
    assert table["p_yes"].tolist() == [0.75, 0.1]


def test_numbers_in_the_targets_units() -> None:
    mean, variance = np.array([[0.0], [1.5]]), np.array([[0.0], [4.0]])
    assert NUMBERS.predict(mean, variance).tolist() == [10.0, 13.0]
    # 2 · sqrt(4 · disagreement + 9)
    assert NUMBERS.std(variance).tolist() == [6.0, 10.0]
    assert NUMBERS.units(0.25) == 1.0
    assert NUMBERS.score(mean, np.array([3.0, 1.5])) == pytest.approx(2 * np.sqrt(4.5))
    table = NUMBERS.columns(mean, variance)
    assert {name: column.tolist() for name, column in table.items()} == {"prediction": [10, 13], "std": [6, 10]}


def test_the_variance_fits_held_out_errors() -> None:
    errors = np.array([1.0, -1.0, 1.0, -1.0])
    head = NUMBERS.fitted(errors[:, None], np.zeros((4, 1)), np.zeros(4))
    assert (head.mean, head.scale, head.variance) == (10.0, 2.0, PredictiveVariance(0.0, 1.0))


def test_they_say_what_they_are() -> None:
    assert (CLASSES.task, CLASSES.metric, CLASSES.estimator) == ("classification", "log loss", "ThinNetClassifier")
    assert (NUMBERS.task, NUMBERS.metric, NUMBERS.estimator) == ("regression", "RMSE", "ThinNetRegressor")
