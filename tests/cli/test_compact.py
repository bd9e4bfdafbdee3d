import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose

from thinnet import tabular
from thinnet.cli import run
from thinnet.tabular.model import _compact


@pytest.fixture(scope="module")
def fitted(small_population: None, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with three nodes of the first layer that nobody reads."""
    folder = tmp_path_factory.mktemp("models")
    frame.to_csv(folder / "t.csv", index=False)
    assert run(["fit", str(folder / "t.csv"), "--target", "Churn", "--out", str(folder / "churn")]) == 0
    model = tabular.load(folder / "churn")
    blocks = [replace(block, weights=[w.copy() for w in block.weights]) for block in model.model_.ensemble.blocks]
    for block in blocks:
        block.weights[1][:, :, :3] = 0
    model.model_ = replace(model.model_, ensemble=replace(model.model_.ensemble, blocks=blocks))
    model.save(folder / "churn")
    return folder / "churn"


@pytest.fixture
def model(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_compact, "_SECONDS", 0.0)
    return Path(shutil.copytree(fitted, tmp_path / "churn"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def size(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in ("model.json", "weights.safetensors"))


def test_a_smaller_model_beside_the_one_that_stays(thinnet: Callable, model: Path, frame: pd.DataFrame) -> None:
    before = contents(model)
    ended = thinnet("compact", model)
    assert (ended.status, ended.err) == (0, "")
    place = model.with_name("churn-compact")
    assert contents(model) == before
    assert sorted(contents(place)) == ["model.json", "weights.safetensors"]
    assert size(place) < size(model)
    x = frame.drop(columns="Churn")
    assert_allclose(tabular.load(place).predict_proba(x), tabular.load(model).predict_proba(x), rtol=1e-5)
    lines = ended.out.splitlines()
    assert lines[0].startswith("networks  nodes of every layer")
    assert " to " in lines[1] and "-125-128-2" in lines[1]
    assert lines[-1] == f"model: {place}, {size(place) / 1e6:.2f} MB where {model} has {size(model) / 1e6:.2f} MB"


def test_json_alone_on_stdout(thinnet: Callable, model: Path, tmp_path: Path) -> None:
    found = json.loads(thinnet("compact", model, "--json", "--out", tmp_path / "small").out)
    assert (found["model"], found["out"]) == (str(model), str(tmp_path / "small"))
    assert {tuple(network["before"][1:]) for network in found["networks"]} == {(128, 128, 2)}
    assert {tuple(network["after"][1:]) for network in found["networks"]} == {(125, 128, 2)}
    count = len(found["networks"])
    assert found["hidden_nodes"] == [256 * count, 253 * count]
    assert found["bytes"] == [size(model), size(tmp_path / "small")]
    assert found["parameters"][1] < found["parameters"][0]
    assert list(found["seconds"]) == ["1", "1000"]
    assert found["difference"] < 1e-5


def test_in_place_when_out_names_the_folder(thinnet: Callable, model: Path, frame: pd.DataFrame) -> None:
    (model / "notes.txt").write_text("mine")
    before, probabilities = size(model), tabular.load(model).predict_proba(frame.drop(columns="Churn"))
    assert thinnet("compact", model, "--out", model).status == 0
    assert size(model) < before
    assert {"notes.txt", "report.html"} < set(contents(model))
    assert_allclose(tabular.load(model).predict_proba(frame.drop(columns="Churn")), probabilities, rtol=1e-5)
    assert thinnet("predict", model, model.parent / "nowhere.csv").status == 2


def test_a_compact_model_predicts_and_compacts_again(thinnet: Callable, model: Path, table: Path) -> None:
    assert thinnet("compact", model).status == 0
    small = model.with_name("churn-compact")
    assert thinnet("predict", small, table).out.startswith("prediction,p_no,p_yes")
    ended = thinnet("compact", small, "--out", small)
    assert "as before" in ended.out
    assert "ratio" in ended.out


def test_what_is_not_ours_is_left_alone(thinnet: Callable, model: Path, tmp_path: Path) -> None:
    (tmp_path / "churn-compact").mkdir()
    (tmp_path / "churn-compact" / "thesis.tex").write_text("years of work")
    assert "is not empty and holds no thinnet model" in thinnet("compact", model).refused()
    assert list(contents(tmp_path / "churn-compact")) == ["thesis.tex"]


def test_a_folder_that_is_no_model_is_refused(thinnet: Callable, model: Path, table: Path, tmp_path: Path) -> None:
    assert thinnet("compact", tmp_path / "chrun").refused().endswith("is not a model folder. Did you mean 'churn'?")
    assert "is a file, not a model folder" in thinnet("compact", table).refused()
    (tmp_path / "empty").mkdir()
    assert "is not a thinnet model" in thinnet("compact", tmp_path / "empty").refused()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["churn", "empty", "people.csv"]


def test_a_damaged_model_is_refused(thinnet: Callable, model: Path) -> None:
    (model / "weights.safetensors").write_bytes(b"")
    assert "weights.safetensors is damaged" in thinnet("compact", model).refused()
    assert not model.with_name("churn-compact").exists()
