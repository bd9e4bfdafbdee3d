import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

from thinnet.tabular import Progress, ThinNetClassifier, ThinNetRegressor, load
from thinnet.tabular.features import _path as _feature_path

SMALL: dict[str, Any] = {
    "n_configurations": 4,
    "n_rounds": 1,
    "cv": 3,
    "hidden": (8,),
    "max_steps": 60,
    "time_limit": None,
    "random_state": 0,
    "select_features": True,
}
BOTH = pytest.mark.parametrize("kind", [ThinNetClassifier, ThinNetRegressor])
MATTER = ["size", "kind"]


def table(rows: int = 240) -> tuple[pd.DataFrame, pd.Series]:
    """Two columns that matter, a number with gaps and a category, among noise; the target is a number of two values."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"first": rng.normal(size=rows), "size": rng.normal(size=rows)})
    X["flat"] = 1.0
    X["word"] = rng.choice(["u", "v", "w"], rows)
    X["kind"] = rng.choice(["a", "b", "c"], rows)
    X["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), unit="D")
    X["last"] = pd.array(rng.integers(0, 9, rows), dtype="Int64")
    y = (2 * X["size"] + 3 * (X["kind"] == "a") - 1 + 0.3 * rng.normal(size=rows) > 0).astype(int)
    X.loc[::17, "size"] = np.nan
    X.loc[3, "last"] = pd.NA
    return X, y.rename("bought")


@pytest.fixture(scope="module")
def fitted() -> dict[type, Any]:
    X, y = table()
    return {kind: kind(**SMALL).fit(X, y) for kind in (ThinNetClassifier, ThinNetRegressor)}


def outputs(model: Any, X: Any) -> np.ndarray:
    return model.predict_proba(X) if isinstance(model, ThinNetClassifier) else model.predict(X)


@BOTH
def test_columns_that_matter_are_chosen(fitted: dict[type, Any], kind: type) -> None:
    model = fitted[kind]
    assert model.get_feature_names_out().tolist() == MATTER
    assert model.get_support().tolist() == [False, True, False, False, True, False, False]
    assert model.get_support(indices=True).tolist() == [1, 4]
    assert model.n_features_in_ == 7
    reasons = {dropped.column: dropped.reason for dropped in model.model_.schema.dropped}
    assert reasons.pop("flat") == "constant"
    assert set(reasons) == {"first", "word", "day", "last"}
    assert all(reason.startswith("not chosen: ") for reason in reasons.values())
    assert model.notes_[0] == "column 'flat' left out: constant"
    assert model.notes_[1].startswith("2 of 6 columns chosen at strength ")
    assert model.facts_["columns"] == "2 used, 5 left out"


@BOTH
def test_the_path_is_told(fitted: dict[type, Any], kind: type) -> None:
    path, leaves = fitted[kind].feature_path_, fitted[kind].feature_strengths_
    assert list(leaves) == ["first", "size", "word", "kind", "day", "last"]
    assert min(leaves[name] for name in MATTER) > max(v for name, v in leaves.items() if name not in MATTER)
    assert path["strength"].is_monotonic_increasing
    assert path.loc[path["chosen"], "features"].tolist() == [2]
    scale = np.log(2) if kind is ThinNetClassifier else table()[1].std()
    assert path["held_out"].iloc[-1] == pytest.approx(scale, rel=0.1)  # nothing is read: as good as guessing


@BOTH
def test_predictions_take_the_chosen_columns_alone(fitted: dict[type, Any], kind: type) -> None:
    X, _ = table()
    expected = outputs(fitted[kind], X)
    assert_array_equal(outputs(fitted[kind], X[MATTER]), expected)
    other = X.assign(first=0.0, word="new", last=None)
    assert_array_equal(outputs(fitted[kind], other), expected)
    assert not np.array_equal(outputs(fitted[kind], X.assign(size=0.0)), expected)


@BOTH
def test_transform_gives_the_chosen_columns_as_they_came(fitted: dict[type, Any], kind: type) -> None:
    X, _ = table()
    found = fitted[kind].transform(X)
    assert_array_equal(pd.isna(found[:, 0].astype(float)), X["size"].isna())
    assert found[:, 1].tolist() == X["kind"].tolist()
    pandas = clone(fitted[kind]).set_output(transform="pandas")
    pandas.__dict__.update(fitted[kind].__dict__)
    pd.testing.assert_frame_equal(pandas.set_output(transform="pandas").transform(X), X[MATTER])


@pytest.mark.slow
def test_numbers_come_back_where_they_were() -> None:
    X, y = table()
    numbers = X[["first", "size"]].fillna(0).to_numpy()
    model = ThinNetClassifier(**SMALL).fit(numbers, y)
    assert model.get_feature_names_out().tolist() == ["x1"]
    assert_array_equal(model.transform(numbers), numbers[:, 1:])
    assert_array_equal(model.inverse_transform(numbers[:, 1:]), numbers * [0, 1])


@BOTH
def test_without_selection_there_is_no_selector(kind: type) -> None:
    X, y = table(60)
    model = kind(**SMALL | {"select_features": False, "max_steps": 5}).fit(X, y)
    for name in ("transform", "fit_transform", "inverse_transform", "get_support", "get_feature_names_out"):
        assert not hasattr(model, name)
    for name in ("set_output", "feature_report", "feature_results", "feature_path_", "feature_strengths_"):
        assert not hasattr(model, name)
    assert model.__sklearn_tags__().transformer_tags is None
    with pytest.raises(AttributeError, match="has no attribute 'transform'") as error:
        model.transform(X)
    assert f"this {kind.__name__} chooses no columns; give select_features=True." in str(error.value.__cause__)


@pytest.mark.usefixtures("short_path")
def test_a_fit_without_selection_forgets_an_earlier_path() -> None:
    X, y = table(60)
    model = ThinNetClassifier(**SMALL | {"max_steps": 5}).fit(X, y)
    model.set_params(select_features=False).fit(X, y)
    assert not hasattr(model, "feature_path_")
    assert len(model.model_.schema.columns) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [(ThinNetClassifier, LogisticRegression()), (ThinNetRegressor, LinearRegression())],
)
def test_in_a_pipeline_with_another_estimator_behind_it(first: type, second: Any) -> None:
    X, y = table()
    X = X.fillna({"size": 0.0, "last": 0})
    words = make_column_transformer((OneHotEncoder(), [1]), remainder="passthrough")
    pipeline = make_pipeline(first(**SMALL), words, second).fit(X, y)
    alone = second.fit(pd.get_dummies(X["kind"]).assign(size=X["size"]).to_numpy(dtype=float), y)
    assert_array_equal(pipeline[:-2].get_feature_names_out(), MATTER)
    found, expected = pipeline.predict(X), alone.predict(words.fit_transform(X[MATTER].to_numpy(dtype=object)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@BOTH
def test_saved_and_loaded(fitted: dict[type, Any], kind: type, tmp_path: Path) -> None:
    X, _ = table()
    model = fitted[kind]
    back = load(model.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(back.feature_path_, model.feature_path_)
    assert back.feature_strengths_ == model.feature_strengths_
    assert back.get_params() == model.get_params()
    assert_array_equal(back.get_support(), model.get_support())
    assert_array_equal(outputs(back, X[MATTER]), outputs(model, X))
    assert (
        back.feature_report(tmp_path / "1.html").read_bytes() == model.feature_report(tmp_path / "2.html").read_bytes()
    )


@pytest.mark.usefixtures("short_path")
def test_strengths_without_end_are_saved(tmp_path: Path) -> None:
    X, y = table(60)
    model = ThinNetRegressor(**SMALL | {"max_steps": 5}).fit(X, y)
    model.feature_strengths_["size"] = np.inf
    model.feature_path_.loc[1, ["held_out", "se"]] = np.nan
    back = load(model.save(tmp_path / "model"))
    assert back.feature_strengths_["size"] == np.inf
    pd.testing.assert_frame_equal(back.feature_path_, model.feature_path_)


def test_only_a_model_that_chose_columns_keeps_a_path(fitted: dict[type, Any], tmp_path: Path) -> None:
    X, y = table(60)
    plain = ThinNetClassifier(**SMALL | {"select_features": False, "max_steps": 5}).fit(X, y)
    card = json.loads((plain.save(tmp_path / "plain") / "model.json").read_text())
    assert "feature_path" not in card["payload"]
    card = json.loads((fitted[ThinNetClassifier].save(tmp_path / "path") / "model.json").read_text())
    assert "feature_path" in card["payload"]


@pytest.mark.slow
def test_smaller_and_exported_models_choose_the_same(fitted: dict[type, Any]) -> None:
    X, _ = table()
    model = fitted[ThinNetClassifier]
    small, _ = model.compact()
    assert_array_equal(small.get_support(), model.get_support())
    np.testing.assert_allclose(small.predict_proba(X), model.predict_proba(X), atol=1e-5)


def stop_at(phase: str, share: float = 0.1) -> Any:
    def callback(progress: Progress) -> None:
        if progress.phase == phase and progress.fraction > share:
            signal.raise_signal(signal.SIGINT)

    return callback


@pytest.mark.usefixtures("short_path")
def test_ctrl_c_while_columns_are_chosen_leaves_nothing_fitted(tmp_path: Path) -> None:
    X, y = table(60)
    file = tmp_path / "fit.checkpoint"
    model = ThinNetClassifier(**SMALL, callback=stop_at("choosing features"), checkpoint=file)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert not file.exists()
    assert not hasattr(model, "notes_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.predict(X)
    model.set_params(callback=None, checkpoint=None).fit(X, y)
    assert len(model.predict(X)) == 60


@pytest.mark.usefixtures("short_path")
def test_ctrl_c_of_a_second_fit_does_not_leave_half_of_the_first() -> None:
    X, y = table(60)
    model = ThinNetClassifier(**SMALL | {"max_steps": 5}).fit(X, y)
    model.set_params(callback=stop_at("choosing features"))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X.drop(columns="size"), y)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.predict(X)


@pytest.mark.slow
@pytest.mark.usefixtures("short_path")
def test_an_interrupted_training_goes_on_with_the_same_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = table(90)
    settings = SMALL | {"max_steps": 200}
    straight = ThinNetClassifier(**settings).fit(X, y)
    file = tmp_path / "fit.checkpoint"
    first = ThinNetClassifier(**settings, checkpoint=file, callback=stop_at("training", 0.6))
    with pytest.raises(KeyboardInterrupt):
        first.fit(X, y)
    assert first.notes_[-1] == "training was interrupted: this is the best found until then"
    assert_array_equal(first.get_support(), straight.get_support())
    pd.testing.assert_frame_equal(first.feature_path_, straight.feature_path_)
    # were it gone again, it would be another one, as one is that a time limit shortens
    monkeypatch.setattr(_feature_path, "LR", 1e-9)
    second = ThinNetClassifier(**settings, checkpoint=file).fit(X, y)
    assert not file.exists()
    assert_array_equal(second.get_support(), straight.get_support())
    assert_array_equal(second.predict_proba(X), straight.predict_proba(X))


@pytest.mark.usefixtures("short_path")
def test_a_checkpoint_of_a_fit_without_selection_is_refused(tmp_path: Path) -> None:
    X, y = table(60)
    file = tmp_path / "fit.checkpoint"
    settings = SMALL | {"max_steps": 200, "checkpoint": file}
    for earlier in (False, True):
        with pytest.raises(KeyboardInterrupt):
            ThinNetClassifier(**settings | {"select_features": earlier, "callback": stop_at("training")}).fit(X, y)
        with pytest.raises(ValueError, match="belongs to another table, other parameters or another seed"):
            ThinNetClassifier(**settings | {"select_features": not earlier}).fit(X, y)
        file.unlink()


@pytest.mark.usefixtures("short_path")
@pytest.mark.parametrize("time_limit", [None, 30.0, 1.0])
def test_progress_begins_with_the_choice_and_goes_forward(time_limit: float | None) -> None:
    X, y = table(90)
    seen: list[Progress] = []
    ThinNetClassifier(**SMALL | {"time_limit": time_limit, "callback": seen.append}).fit(X, y)
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["choosing features", "training", "selecting the ensemble"]
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)


@BOTH
def test_fewer_rows_than_folds_are_refused(kind: type) -> None:
    with pytest.raises(ValueError, match=r"4 rows with a target .* fewer than the cv=5 folds\. Lower cv to at most 4"):
        kind(**SMALL | {"cv": 5}).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])


@pytest.mark.usefixtures("short_path")
@pytest.mark.parametrize("classes", [2, 3])
def test_a_tiny_table_is_no_trouble(classes: int) -> None:
    X = [[float(i), float(i % 2)] for i in range(6)]
    model = ThinNetClassifier(**SMALL | {"cv": 2}).fit(X, [i % classes for i in range(6)])
    assert 1 <= model.get_support().sum() <= 2


@pytest.mark.usefixtures("short_path")
def test_a_constant_target_is_no_trouble(tmp_path: Path) -> None:
    X, _ = table(60)
    model = ThinNetRegressor(**SMALL).fit(X, np.full(60, 7.0))
    assert model.get_support().any()
    np.testing.assert_allclose(model.predict(X), 7, atol=0.5)
    assert model.feature_report(tmp_path / "path.html").exists()


@BOTH
def test_only_yes_or_no_is_understood(kind: type) -> None:
    with pytest.raises(ValueError, match="`select_features` must be True or False, got 'some'"):
        kind(**SMALL | {"select_features": "some"}).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])


@pytest.mark.slow
@pytest.mark.usefixtures("short_path")
@parametrize_with_checks([kind(**SMALL | {"hidden": (32,), "max_steps": 80, "cv": 2})
                          for kind in (ThinNetClassifier, ThinNetRegressor)])  # fmt: skip
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)
