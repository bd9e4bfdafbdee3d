import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from thinnet.cli._errors import InputError
from thinnet.cli._score import check_test, class_scores, number_scores


def test_class_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=50)
    classes = np.array(["a", "b", "c"])
    y = pd.Series(rng.choice(classes[:2], 50))
    scores = class_scores(p, classes, y)
    assert scores["log loss"] == pytest.approx(metrics.log_loss(y, p, labels=classes))
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(y, classes[p.argmax(1)]))


def test_a_class_sure_to_be_wrong_costs_much_but_not_infinitely() -> None:
    scores = class_scores(np.array([[1.0, 0.0]]), np.array([0, 1]), pd.Series([1.0]))
    assert scores["log loss"] == pytest.approx(-np.log(np.finfo(float).eps))


def test_number_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y, prediction = rng.normal(size=(2, 50))
    scores = number_scores(prediction, pd.Series(y))
    assert scores["RMSE"] == pytest.approx(metrics.root_mean_squared_error(y, prediction))
    assert scores["R2"] == pytest.approx(metrics.r2_score(y, prediction))


def test_a_class_never_trained_on_is_refused() -> None:
    with pytest.raises(InputError, match=r"t\.csv: 'Churn' holds 'maybe', which the training table never has"):
        check_test("classification", pd.Series(["no", "maybe"], name="Churn"), pd.Series(["no", "yes"]), "t.csv")


def test_whole_numbers_are_the_same_class_as_floats() -> None:
    check_test("classification", pd.Series([1.0, None], name="y"), pd.Series([1, 2]), "t.csv")


def test_a_target_all_missing_is_refused() -> None:
    with pytest.raises(InputError, match="every value of 'y' is missing"):
        check_test("regression", pd.Series([None, None], name="y", dtype=float), pd.Series([1.0]), "t.csv")


def test_a_target_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="'y' holds 'n/k', which is not a number"):
        check_test("regression", pd.Series(["1", "n/k"], name="y"), pd.Series([1.0]), "t.csv")
