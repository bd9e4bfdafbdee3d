import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import thinnet as tn
from thinnet.tabular import ThinNetClassifier, ThinNetRegressor, load
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model.onnx import _export
from thinnet.tabular.model.onnx._graph import Graph

SMALL: dict[str, Any] = {
    "n_configurations": 10,
    "n_rounds": 1,
    "cv": 2,
    "hidden": (8, 6),
    "max_steps": 60,
    "time_limit": None,
    "random_state": 0,
}
LIMIT = {"rtol": 0, "atol": 1e-4}


def table(rows: int = 160) -> pd.DataFrame:
    """Numbers with gaps, text with rare and missing words, truths, whole numbers as categories, big numbers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows),
            "tail": np.exp(3 * rng.normal(size=rows)),
            "stamp": 1.7e9 + rng.normal(size=rows),
            "few": rng.choice([0.0, 1.0, 5.0], rows),
            "kind": rng.choice(["a", "b", "c"], rows).astype(object),
            "two": rng.choice(["yes", "no"], rows),
            "grade": pd.Categorical(rng.choice([1, 2, 3], rows)),
            "truth": rng.random(rows) < 0.5,
            "flat": 1.0,
        }
    )
    frame.loc[::7, "size"] = np.nan
    frame.loc[::11, "kind"] = None
    frame.loc[3, "kind"] = "rare"
    return frame


X = table()
SIGNAL = (X["stamp"] - 1.7e9) + X["size"].fillna(0) + (X["kind"] == "a") + X["truth"]
NUMBERS, TEXTS = ["size", "tail", "stamp", "few"], ["kind", "two", "grade", "truth"]
NEW = pd.DataFrame(
    {
        "size": [np.nan, 0.3, -1e6, 2.0],
        "tail": [1e9, np.nan, 0.0, -5.0],
        "stamp": [1.7e9, 1.7e9 + 1.0, np.nan, 1.7e9 - 0.5],
        "few": [0.0, 3.0, 9.0, np.nan],
        "kind": ["rare", "unseen", None, "c"],
        "two": ["no", None, "maybe", "yes"],
        "grade": pd.Series([3, 7, None, 1], dtype=object),
        "truth": pd.Series([True, None, False, True], dtype=object),
    }
)


def feed(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """A table as the file takes it, by hand: float64, and text with "" for what is missing."""
    given = {name: frame[name].to_numpy(dtype=np.float64) for name in NUMBERS}
    for name in TEXTS:
        cells = ["" if pd.isna(cell) else str(cell) for cell in frame[name]]
        given[name] = np.array(cells, dtype=object)
    return given


def run(path: Path, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)


@pytest.fixture(scope="module", autouse=True)
def every_part() -> Iterator[None]:
    """Encodings are kept that no network of the ensemble happens to see, so that all kinds of them are exported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "with_parts", lambda self, parts: self)
        yield


@pytest.fixture(scope="module")
def classifier(every_part: None) -> ThinNetClassifier:
    labels = np.array(["low", "middle", "high"])[np.digitize(SIGNAL, [0, 1.5])]
    return ThinNetClassifier(**SMALL).fit(X, pd.Series(labels, name="answer"))


@pytest.fixture(scope="module")
def regressor(every_part: None) -> ThinNetRegressor:
    return ThinNetRegressor(**SMALL).fit(X, 100 + 20 * SIGNAL)


def test_every_part_of_the_encoding_is_there(classifier: ThinNetClassifier) -> None:
    parts = {part for _, part in classifier.model_.encoder.columns}
    assert parts == {"numeric", "bins", "slow", "fast", "missing", "onehot"}


@pytest.mark.parametrize("frame", [X, NEW, NEW[:1]], ids=["training", "new", "one row"])
def test_a_classifier_predicts_the_same(classifier: ThinNetClassifier, frame: pd.DataFrame, tmp_path: Path) -> None:
    classifier.export_onnx(tmp_path / "m.onnx")
    label, probabilities = run(tmp_path / "m.onnx", feed(frame))
    assert_allclose(probabilities, classifier.predict_proba(frame), **LIMIT)
    assert_array_equal(label, classifier.predict(frame))


@pytest.mark.parametrize("frame", [X, NEW, NEW[:1]], ids=["training", "new", "one row"])
def test_a_regressor_predicts_the_same(regressor: ThinNetRegressor, frame: pd.DataFrame, tmp_path: Path) -> None:
    regressor.export_onnx(tmp_path / "m.onnx")
    prediction, std = run(tmp_path / "m.onnx", feed(frame))
    mean, deviation = regressor.predict(frame, return_std=True)
    assert_allclose(prediction, mean, rtol=1e-4)
    assert_allclose(std, deviation, rtol=1e-4)


def test_a_small_difference_of_big_numbers_counts(regressor: ThinNetRegressor, tmp_path: Path) -> None:
    regressor.export_onnx(tmp_path / "m.onnx")
    rows = X[:2].assign(stamp=[1.7e9, 1.7e9 + 0.5], size=0.0, tail=1.0, few=0.0, kind="a", two="no", truth=True)
    rows["grade"] = 1
    # in float32 both would be the same number
    assert abs(np.subtract(*run(tmp_path / "m.onnx", feed(rows))[0])) > 0.1


@pytest.mark.parametrize("text", ["", "nan", "NaN", "<NA>", "NaT"])
def test_every_way_to_write_a_missing_category(classifier: ThinNetClassifier, tmp_path: Path, text: str) -> None:
    classifier.export_onnx(tmp_path / "m.onnx")
    given = {name: values[[0, 0, 0]] for name, values in feed(NEW).items()}
    given["kind"] = np.array([text, "", "unseen"], dtype=object)
    written, empty, unseen = run(tmp_path / "m.onnx", given)[1]
    assert_allclose(written, empty, rtol=1e-12)
    assert np.abs(unseen - empty).max() > 1e-3


@pytest.mark.parametrize(
    ("text", "truth"), [("true", True), ("TRUE", True), ("1", True), ("False", False), ("0", False)]
)
def test_every_way_to_write_a_truth(classifier: ThinNetClassifier, tmp_path: Path, text: str, truth: bool) -> None:
    classifier.export_onnx(tmp_path / "m.onnx")
    given = feed(NEW[:1]) | {"truth": np.array([text], dtype=object)}
    assert_allclose(run(tmp_path / "m.onnx", given)[1], classifier.predict_proba(NEW[:1].assign(truth=truth)), **LIMIT)


def test_what_the_file_says_of_itself(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    written = classifier.export_onnx(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model)
    assert (model.producer_name, model.producer_version) == ("thinnet", tn.__version__)
    # old enough for any onnxruntime since 2021
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 15, "ai.onnx.ml": 2}
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert facts["target"] == "answer"
    assert json.loads(facts["classes"]) == ["high", "low", "middle"]
    kinds = {port.name: port.kind for port in written.inputs}
    assert kinds == {name: "double" for name in NUMBERS} | {name: "string" for name in TEXTS}
    assert [(port.name, port.shape) for port in written.outputs] == [("label", (None,)), ("probabilities", (None, 3))]
    assert "in  size" in str(written)
    assert written.size == (tmp_path / "m.onnx").stat().st_size


def test_the_same_model_is_the_same_file(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    for name in ("one", "two"):
        classifier.export_onnx(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("labels", "kind"),
    [(["no", "yes"], "string"), ([3, -7], "int64"), ([False, True], "bool"), ([0.0, 2.0], "double")],
    ids=["text", "int", "bool", "float"],
)
def test_labels_keep_their_type(labels: Any, kind: str, tmp_path: Path) -> None:
    model = ThinNetClassifier(**SMALL | {"max_steps": 5, "n_configurations": 2})
    model.fit(X, np.asarray(labels)[(SIGNAL > 0.5).astype(int)])
    assert model.export_onnx(tmp_path / "m.onnx").outputs[0].kind == kind
    assert run(tmp_path / "m.onnx", feed(X))[0].tolist() == model.predict(X).tolist()


@pytest.mark.slow
def test_a_loaded_and_a_compact_model(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    model = copy.deepcopy(classifier)
    for block in model.model_.ensemble.blocks:
        block.weights[0][:, :6] = 0
    before = model.export_onnx(tmp_path / "m.onnx")
    small, _ = load(model.save(tmp_path / "model")).compact()
    after = small.export_onnx(tmp_path / "small.onnx")
    assert after.size < before.size
    assert_allclose(*(run(tmp_path / f"{name}.onnx", feed(X))[1] for name in ("m", "small")), rtol=1e-4, atol=1e-6)


def test_an_array_has_inputs_by_place(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 3))
    model = ThinNetRegressor(**SMALL | {"n_frequencies": 0, "n_bins": 0}).fit(values, values[:, 0])
    model.export_onnx(tmp_path / "m.onnx")
    given = {f"x{i}": values[:, i] for i in range(3)}
    assert_allclose(run(tmp_path / "m.onnx", given)[0], model.predict(values), rtol=1e-4, atol=1e-5)


def test_categories_alone(tmp_path: Path) -> None:
    frame = X[["kind", "two"]]
    model = ThinNetRegressor(**SMALL).fit(frame, SIGNAL)
    model.export_onnx(tmp_path / "m.onnx")
    given = {name: np.array(["" if pd.isna(c) else c for c in frame[name]], dtype=object) for name in frame}
    assert_allclose(run(tmp_path / "m.onnx", given)[0], model.predict(frame), rtol=1e-4, atol=1e-5)


def test_dates_are_refused_by_name_or_given_as_days(tmp_path: Path) -> None:
    frame = X.assign(signup=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(X)), unit="D"))
    model = ThinNetRegressor(**SMALL).fit(frame, SIGNAL)
    with pytest.raises(tn.NotExportableError, match=r"no operation that reads dates, and column 'signup' .*as-days"):
        model.export_onnx(tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
    written = model.export_onnx(tmp_path / "m.onnx", dates="days")
    assert written.inputs[-1].meaning == "days since 1970-01-01 UTC, or NaN"
    days = (frame["signup"] - pd.Timestamp(0)) / pd.Timedelta(days=1)
    given = feed(frame) | {"signup": days.to_numpy(dtype=np.float64)}
    assert_allclose(run(tmp_path / "m.onnx", given)[0], model.predict(frame), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match='`dates` must be "refuse" or "days", got \'text\''):
        model.export_onnx(tmp_path / "m.onnx", dates="text")  # type: ignore[arg-type]


def test_a_column_that_is_called_as_an_output(tmp_path: Path) -> None:
    frame = X[["size", "kind"]].rename(columns={"size": "prediction", "kind": "std"})
    model = ThinNetRegressor(**SMALL | {"max_steps": 5}).fit(frame, SIGNAL)
    assert [port.name for port in model.export_onnx(tmp_path / "m.onnx").outputs] == ["prediction_", "std_"]


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    model = ThinNetRegressor(**SMALL | {"max_steps": 5}).fit(X[["size", "kind"]].rename(columns={"size": ""}), SIGNAL)
    with pytest.raises(tn.NotExportableError, match="ONNX inputs need names, and a column has none"):
        model.export_onnx(tmp_path / "m.onnx")


def test_made_up_rows_hold_what_is_hard(classifier: ThinNetClassifier) -> None:
    frame = made_up(classifier.model_.encoder, classifier.model_.schema, 500)
    assert frame["size"].isna().any()
    assert frame["size"].abs().max() > 1000
    assert set(frame["kind"]) > {"a", "b", "c", "rare", ""}
    assert set(frame["kind"]) - set(X["kind"].fillna(""))
    pd.testing.assert_frame_equal(frame, made_up(classifier.model_.encoder, classifier.model_.schema, 500))


@pytest.mark.parametrize("harm", ["probabilities", "label"])
def test_a_file_that_differs_is_refused(
    classifier: ThinNetClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    outputs = _export._outputs

    def harmed(graph: Graph, estimator: Any, mean: str, variance: str, taken: set[str]) -> Any:
        half = graph.add("Mul", mean, graph.constant([1.0, 1.0, 0.9] if harm == "probabilities" else [-1.0] * 3))
        label, probabilities = outputs(graph, estimator, half, variance, taken)
        return [label, probabilities if harm == "probabilities" else (mean, probabilities[1])]

    monkeypatch.setattr(_export, "_outputs", harmed)
    (tmp_path / "m.onnx").write_text("older")
    with pytest.raises(tn.NotExportableError, match=r"the file's predictions differ by .* above 1e-04; nothing was"):
        classifier.export_onnx(tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "older"


def test_places_that_cannot_be_are_named(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        classifier.export_onnx(tmp_path / "nowhere" / "m.onnx")
    with pytest.raises(ValueError, match="not fitted yet"):
        ThinNetClassifier().export_onnx(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_a_missing_package_says_what_installs_it(
    classifier: ThinNetClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf'{name} is not installed, .*pip install "thinnet\[onnx\]"$'):
        classifier.export_onnx(tmp_path / "m.onnx")


def test_unequal_weights_and_temperatures_reach_the_file(classifier: ThinNetClassifier, tmp_path: Path) -> None:
    model = ThinNetClassifier(**SMALL)
    model.__dict__.update(classifier.__dict__)
    k = len(classifier.model_.ensemble.weights_K)
    weights, temperatures = np.arange(1.0, k + 1) / np.arange(1.0, k + 1).sum(), np.linspace(0.3, 3, k)
    ensemble = replace(classifier.model_.ensemble, weights_K=weights, temperatures_K=temperatures, temperature=0.4)
    model.model_ = replace(classifier.model_, ensemble=ensemble)
    model.export_onnx(tmp_path / "m.onnx")
    assert_allclose(run(tmp_path / "m.onnx", feed(X))[1], model.predict_proba(X), **LIMIT)
    assert np.abs(model.predict_proba(X) - classifier.predict_proba(X)).max() > 0.01
