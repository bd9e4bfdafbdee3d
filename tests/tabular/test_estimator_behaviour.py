import time
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from thinnet.tabular import Progress, ThinNetClassifier, ThinNetRegressor

SMALL: dict[str, Any] = {
    "n_configurations": 4,
    "n_rounds": 1,
    "cv": 2,
    "hidden": (8,),
    "max_steps": 60,
    "time_limit": None,
    "random_state": 0,
}
BOTH = pytest.mark.parametrize("kind", [ThinNetClassifier, ThinNetRegressor])


def mixed(rows: int = 100) -> tuple[pd.DataFrame, pd.Series]:
    """Every kind of column, and a target of two classes that is a number too."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "count": pd.array(rng.integers(0, 9, rows), dtype="Int64"),
            "kind": rng.choice(np.array(["a", "b", None], dtype=object), rows),
            "flag": rng.random(rows) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), unit="D"),
            "grade": pd.Categorical(rng.choice(["low", "high"], rows)),
            "flat": 5,
            "void": None,
        }
    )
    X.loc[3, "count"] = pd.NA
    y = (X["flag"].astype(float) + X["size"].fillna(0) + 0.2 * rng.normal(size=rows) > 0.5).astype(int)
    return X, y.rename("bought")


@BOTH
def test_mixed_tables_are_understood_and_useless_columns_noted(kind: type) -> None:
    X, y = mixed()
    model = kind(**SMALL).fit(X, y)
    assert model.notes_ == [
        "column 'flat' left out: constant",
        "column 'void' left out: every value is missing",
    ]
    assert model.n_features_in_ == 8
    assert model.feature_names_in_.tolist() == list(X.columns)
    assert model.target_name_ == "bought"
    new = pd.DataFrame(
        {
            "grade": ["unseen", None],
            "size": [np.nan, 1e9],
            "count": [None, 10**6],
            "kind": ["unseen", None],
            "flag": [True, None],
            "day": [None, "2031-05-05"],
        }
    )
    assert len(model.predict(new)) == 2
    values = model.predict_proba(new) if kind is ThinNetClassifier else model.predict(new)
    assert np.isfinite(values).all()


def test_columns_are_found_by_name_whatever_their_order() -> None:
    X, y = mixed()
    model = ThinNetClassifier(**SMALL).fit(X, y)
    assert_array_equal(model.predict_proba(X[X.columns[::-1]]), model.predict_proba(X))
    with pytest.raises(ValueError, match=r"columns seen at fit are missing from the table: 'size'"):
        model.predict(X.drop(columns="size"))


def test_it_learns_from_a_table() -> None:
    X, y = mixed(300)
    model = ThinNetClassifier(**SMALL | {"max_steps": 150}).fit(X, y)
    majority = max(y.mean(), 1 - y.mean())
    assert (model.predict(X) == y).mean() > majority + 0.1
    assert model.held_out_score_ < 0.6  # guessing is log 2


@pytest.mark.parametrize(("kind", "missing"), [(ThinNetClassifier, None), (ThinNetRegressor, np.nan)])
def test_rows_without_a_target_are_left_out_and_counted(kind: type, missing: object) -> None:
    X, y = mixed()
    X = X[["size", "flag"]]
    labels = y.map({0: "no", 1: "yes"}).astype(object) if kind is ThinNetClassifier else y.astype(float)
    gaps = labels.copy()
    gaps[[0, 17, 99]] = missing
    model = kind(**SMALL).fit(X, gaps)
    assert model.notes_ == ["3 rows without a target left out"]
    assert model.facts_["rows"] == "97"
    kept = [i for i in range(100) if i not in (0, 17, 99)]
    only = kind(**SMALL).fit(X.iloc[kept], labels.iloc[kept])
    assert only.notes_ == []
    assert_array_equal(model.predict(X), only.predict(X))


@BOTH
def test_infinite_values_are_refused_by_the_columns_name(kind: type) -> None:
    X, y = mixed()
    X.loc[5, "size"] = np.inf
    with pytest.raises(ValueError, match=r"'size'.*infinit|infinit.*'size'"):
        kind(**SMALL).fit(X, y)
    fine, _ = mixed()
    model = kind(**SMALL | {"max_steps": 2}).fit(fine, y)
    with pytest.raises(ValueError, match=r"'size'.*infinit|infinit.*'size'"):
        model.predict(X)


def test_a_target_of_one_class_is_refused() -> None:
    X, _ = mixed()
    with pytest.raises(ValueError, match=r"the target has only one class, 'a', in 100 rows"):
        ThinNetClassifier(**SMALL).fit(X, ["a"] * 100)


@BOTH
def test_fewer_rows_than_folds_are_refused(kind: type) -> None:
    X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"4 rows with a target .* fewer than the cv=5 folds\. Lower cv to at most 4"):
        kind(**SMALL | {"cv": 5}).fit(X, y)
    assert len(kind(**SMALL | {"cv": 4, "max_steps": 2}).fit(X, y).predict(X)) == 4


@BOTH
def test_column_names_that_repeat_are_refused(kind: type) -> None:
    X = pd.DataFrame(np.eye(4), columns=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match=r"column names must be distinct, but 'a' repeats"):
        kind(**SMALL).fit(X, [0, 1, 0, 1])


@BOTH
@pytest.mark.parametrize("settings", [{"n_bins": 0}, {"n_frequencies": 0}, {"hidden": ()}, {"batch_size": 7}])
def test_less_of_everything_still_predicts(kind: type, settings: dict[str, object]) -> None:
    X, y = mixed()
    model = kind(**SMALL | {"max_steps": 10} | settings).fit(X, y)
    assert np.isin(model.predict(X), [0, 1]).all() or kind is ThinNetRegressor
    assert np.isfinite(np.asarray(model.predict(X), dtype=float)).all()


@pytest.mark.slow
@BOTH
def test_the_same_seed_gives_the_same_predictions(kind: type) -> None:
    X, y = mixed()

    def outputs(seed: object) -> np.ndarray:
        model = kind(**SMALL | {"random_state": seed}).fit(X, y)
        return model.predict_proba(X) if kind is ThinNetClassifier else model.predict(X)

    first = outputs(1)
    assert_array_equal(outputs(1), first)
    assert not np.array_equal(outputs(2), first)
    assert_array_equal(outputs(np.random.RandomState(4)), outputs(np.random.RandomState(4)))


@BOTH
def test_a_fit_leaves_numpys_generator_alone(kind: type) -> None:
    X, y = mixed()
    before = np.random.get_state()[1].copy()
    kind(**SMALL).fit(X, y)
    assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("time_limit", [None, 30.0, 0.7])
def test_the_callback_sees_the_fit_go_forward(time_limit: float | None) -> None:
    X, y = mixed()
    seen: list[Progress] = []
    settings = SMALL | {"n_rounds": 2, "callback": seen.append, "time_limit": time_limit, "max_steps": 150}
    ThinNetClassifier(**settings | {"cv": 3, "hidden": (32,)}).fit(X, y)
    fractions = [progress.fraction for progress in seen]
    assert all(a <= b for a, b in pairwise(fractions))
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert len(set(fractions)) > 5 or time_limit == 0.7
    assert all(a.elapsed <= b.elapsed for a, b in pairwise(seen))


@pytest.mark.slow
def test_a_fit_keeps_to_its_time_limit() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 10))
    y = X[:, 0] * X[:, 1] + rng.normal(size=3000)
    ThinNetRegressor(**SMALL | {"max_steps": 1}).fit(X[:50], y[:50])  # libraries are loaded
    start = time.monotonic()
    model = ThinNetRegressor(time_limit=4, n_configurations=24, max_steps=50_000, random_state=0).fit(X, y)
    elapsed = time.monotonic() - start
    assert elapsed < 4.8
    assert elapsed > 2.4  # it was the limit that ended it
    assert model.leaderboard_["held_out"].notna().any()


def test_deviations_have_the_targets_shape_and_cover_new_errors() -> None:
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, size=(900, 2))
    y = 50 + 10 * (2 * X[:, 0] + rng.normal(size=900))
    model = ThinNetRegressor(**SMALL | {"max_steps": 150, "hidden": (16,)}).fit(X[:400], y[:400])
    mean, std = model.predict(X[400:], return_std=True)
    assert mean.shape == std.shape == (500,)
    assert_array_equal(model.predict(X[400:]), mean)
    assert (std > 0).all()
    assert 0.58 < (np.abs(y[400:] - mean) < std).mean() < 0.78
    assert 9 < std.mean() < 12.5  # the noise is 10
    assert model.held_out_score_ == pytest.approx(np.sqrt(np.mean((y[400:] - mean) ** 2)), rel=0.15)


def test_a_constant_target_is_predicted() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    mean, std = ThinNetRegressor(**SMALL).fit(X, np.full(40, 7.0)).predict(X, return_std=True)
    np.testing.assert_allclose(mean, 7, atol=0.5)
    assert np.isfinite(std).all()


def test_arrays_and_lists_need_no_names() -> None:
    X, y = mixed()
    cells = X[["size", "kind"]].to_numpy(dtype=object)
    by_list = ThinNetClassifier(**SMALL).fit(cells.tolist(), y.tolist())
    assert not hasattr(by_list, "feature_names_in_")
    by_array = ThinNetClassifier(**SMALL).fit(cells, y.to_numpy())
    assert_array_equal(by_list.predict_proba(cells), by_array.predict_proba(cells.tolist()))
    with pytest.raises(ValueError, match=r"X has 1 features, but ThinNetClassifier is expecting 2 features"):
        by_array.predict(cells[:, :1])


def test_a_fit_warns_of_nothing() -> None:
    X, y = mixed()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ThinNetClassifier(**SMALL | {"max_steps": 5}).fit(X, y).predict(X)
