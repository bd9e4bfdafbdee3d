import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from thinnet import tabular
from thinnet.cli import run
from thinnet.cli._model import beside


@pytest.fixture(scope="module")
def fitted(small_population: None, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    dated = frame.assign(since=pd.date_range("2024-01-01", periods=len(frame)).strftime("%Y-%m-%d"))
    for name, table in (("churn", frame), ("dated", dated)):
        table.to_csv(folder / f"{name}.csv", index=False)
        assert run(["fit", str(folder / f"{name}.csv"), "--target", "Churn", "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def models(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "models"))


def probabilities(path: Path, frame: pd.DataFrame) -> np.ndarray:
    given = {name: frame[name].to_numpy(dtype=object if name == "city" else np.float64) for name in frame}
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)[1]


def test_the_file_predicts_as_the_model(thinnet: Callable, models: Path, frame: pd.DataFrame) -> None:
    ended = thinnet("export", models / "churn")
    assert (ended.status, ended.err) == (0, "")
    x = frame.drop(columns="Churn")
    assert_allclose(
        probabilities(models / "churn.onnx", x), tabular.load(models / "churn").predict_proba(x), rtol=0, atol=1e-4
    )
    lines = ended.out.splitlines()
    assert lines[0].startswith(f"{models / 'churn.onnx'}: ONNX, ")
    assert [line.split()[1] for line in lines[2:9]] == [*x.columns, "label", "probabilities"]
    assert "Equal: outputs differ by" in lines[-2]
    assert lines[-1].startswith(f"run it: onnxruntime.InferenceSession('{models / 'churn.onnx'}').run(None, ")


@pytest.mark.slow
def test_a_compact_model_is_a_smaller_file(thinnet: Callable, models: Path) -> None:
    model = tabular.load(models / "churn")
    blocks = [replace(block, weights=[w.copy() for w in block.weights]) for block in model.model_.ensemble.blocks]
    for block in blocks:
        block.weights[0][:, ::2] = 0
    model.model_ = replace(model.model_, ensemble=replace(model.model_.ensemble, blocks=blocks))
    model.save(models / "churn")
    assert thinnet("compact", models / "churn").status == 0
    for name in ("churn", "churn-compact"):
        assert thinnet("export", models / name, "--format", "onnx").status == 0
    assert (models / "churn-compact.onnx").stat().st_size < (models / "churn.onnx").stat().st_size


def test_json_alone_on_stdout(thinnet: Callable, models: Path, tmp_path: Path) -> None:
    found = json.loads(thinnet("export", models / "churn", "--json", "--out", tmp_path / "m.onnx").out)
    assert (found["model"], found["out"], found["format"]) == (str(models / "churn"), str(tmp_path / "m.onnx"), "onnx")
    assert found["bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert found["inputs"][0] == {"name": "age", "kind": "double", "shape": [None], "meaning": "a number, or NaN"}
    assert [port["name"] for port in found["outputs"]] == ["label", "probabilities"]
    assert found["difference"] < 1e-4
    assert found["rows"] == 500


def test_dates_are_refused_or_become_days(thinnet: Callable, models: Path) -> None:
    line = thinnet("export", models / "dated").refused()
    assert "no operation that reads dates, and column 'since' holds them" in line
    assert "--dates-as-days" in line
    assert not (models / "dated.onnx").exists()
    assert "days since 1970-01-01 UTC" in thinnet("export", models / "dated", "--dates-as-days").out


def test_formats_that_cannot_be_are_refused(thinnet: Callable, models: Path) -> None:
    line = thinnet("export", models / "churn", "--format", "pt2").refused()
    assert line.startswith("a pt2 archive holds operations on tensors alone")
    assert line.endswith("use --format onnx, which holds both.")
    assert thinnet("export", models / "churn", "--format", "h5").refused() == (
        "unsupported --format 'h5'; supported: onnx."
    )


@pytest.mark.parametrize("name", ["mine.onnx", "folder.onnx"])
def test_an_out_that_is_not_ours_is_refused(thinnet: Callable, models: Path, name: str) -> None:
    place = models / name
    if name == "folder.onnx":
        place.mkdir()
    else:
        value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
        graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
        onnx.save(onnx.helper.make_model(graph, producer_name="pytorch"), place)
    before = None if place.is_dir() else place.read_bytes()
    line = thinnet("export", models / "churn", "--out", place).refused()
    assert line == f"{place} exists and is not a model that thinnet exported: name another file, or remove it."
    assert place.is_dir() or place.read_bytes() == before


def test_an_export_of_ours_is_replaced(thinnet: Callable, models: Path) -> None:
    assert thinnet("export", models / "churn").status == 0
    before = (models / "churn.onnx").stat().st_ino
    assert thinnet("export", models / "churn").status == 0
    assert (models / "churn.onnx").stat().st_ino != before
    assert sorted(path.name for path in models.iterdir() if path.suffix == ".onnx") == ["churn.onnx"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("m.csv", r".csv is no ONNX file: name it m.onnx"), ("m", "no suffix is no ONNX"), ("no/m.onnx", "is no folder")],
)
def test_an_out_that_cannot_be_is_refused(thinnet: Callable, models: Path, name: str, says: str) -> None:
    assert says in thinnet("export", models / "churn", "--out", models / name).refused()


def test_a_folder_that_is_no_model_is_refused(thinnet: Callable, models: Path) -> None:
    assert thinnet("export", models / "chrun").refused().endswith("is not a model folder. Did you mean 'churn'?")
    (models / "churn" / "model.json").unlink()
    assert "is not a thinnet model" in thinnet("export", models / "churn").refused()


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(
    thinnet: Callable, models: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    line = thinnet("export", models / "churn").refused()
    assert line == f'{name} is not installed, and ONNX files need it: pip install "thinnet[onnx]"'


def test_a_module_of_another_extra_is_not_blamed_on_this_one(
    thinnet: Callable, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_model(folder: Path) -> None:
        raise ModuleNotFoundError("No module named 'pandas'", name="pandas")

    monkeypatch.setattr("thinnet.cli._export.load_model", load_model)
    assert 'pip install "thinnet[tabular]"' in thinnet("export", models / "churn").refused()


def test_a_place_beside_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path / "m")
    assert beside(Path("."), ".onnx") == tmp_path / "m.onnx"
    assert beside(Path("models/m/"), "-compact") == Path("models/m-compact")


@pytest.mark.parametrize("command", ["export", "compact"])
def test_help_reads_as_it_was_written(thinnet: Callable, command: str) -> None:
    ended = thinnet(command, "--help")
    assert ended.status == 0
    assert "--out" in ended.out
    # lines of the second paragraph are not broken again
    assert not [line for line in ended.out.splitlines() if 0 < len(line.strip()) < 12 and "╭" not in line]
