import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thinnet import tabular
from thinnet.cli import run
from thinnet.cli._read import FORMATS, read_table


@pytest.fixture(scope="module")
def models(small_population: None, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    frame.to_csv(folder / "t.csv", index=False)
    for target in ("Churn", "spend"):
        words = ["fit", str(folder / "t.csv"), "--target", target, "--out", str(folder / target)]
        assert run(words) == 0
    return {target: folder / target for target in ("Churn", "spend")}


@pytest.fixture
def model(models: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(models["Churn"], tmp_path / "model"))


def test_classes_come_with_their_probabilities(thinnet, models, frame: pd.DataFrame, table: Path) -> None:
    ended = thinnet("predict", models["Churn"], table)
    assert (ended.status, ended.err) == (0, "")
    table.with_name("p.csv").write_text(ended.out)
    predicted = pd.read_csv(table.with_name("p.csv"))
    assert list(predicted.columns) == ["prediction", "p_no", "p_yes"]
    direct = tabular.load(models["Churn"])
    np.testing.assert_allclose(predicted[["p_no", "p_yes"]], direct.predict_proba(frame.drop(columns="Churn")))
    assert list(predicted["prediction"]) == list(direct.predict(frame.drop(columns="Churn")))


def test_numbers_come_with_their_deviation(thinnet, models, frame: pd.DataFrame, table: Path, tmp_path: Path) -> None:
    ended = thinnet("predict", models["spend"], table, "--out", tmp_path / "p.parquet")
    assert (ended.status, ended.out) == (0, f"80 predictions: {tmp_path / 'p.parquet'}\n")
    predicted = pd.read_parquet(tmp_path / "p.parquet")
    mean, std = tabular.load(models["spend"]).predict(frame.drop(columns="spend"), return_std=True)
    pd.testing.assert_frame_equal(predicted, pd.DataFrame({"prediction": mean, "std": std}))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_suffix_says_the_format(thinnet, model: Path, table: Path, tmp_path: Path, kind: str) -> None:
    assert thinnet("predict", model, table, "--out", tmp_path / f"p{kind}").status == 0
    assert list(read_table(tmp_path / f"p{kind}").columns) == ["prediction", "p_no", "p_yes"]


def test_json_alone_on_stdout(thinnet, model: Path, table: Path, tmp_path: Path) -> None:
    results = json.loads(thinnet("predict", model, table, "--json").out)
    assert (results["rows"], results["out"], len(results["predictions"])) == (80, None, 80)
    assert results["predictions"][0].keys() == {"prediction", "p_no", "p_yes"}
    results = json.loads(thinnet("predict", model, table, "--json", "--out", tmp_path / "p.csv").out)
    assert results == {"model": str(model), "out": str(tmp_path / "p.csv"), "rows": 80}


def test_columns_may_stand_in_any_order_and_more_may_be_there(
    thinnet, model: Path, frame: pd.DataFrame, table: Path, tmp_path: Path
) -> None:
    frame[frame.columns[::-1]].assign(more=1).to_csv(tmp_path / "turned.csv", index=False)
    assert thinnet("predict", model, tmp_path / "turned.csv").out == thinnet("predict", model, table).out


def test_missing_columns_are_named(thinnet, model: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.rename(columns={"income": "Income "}).to_csv(tmp_path / "t.csv", index=False)
    line = thinnet("predict", model, tmp_path / "t.csv").refused()
    assert line.endswith("has no column 'income'. Did you mean 'Income '?")
    frame[["city"]].to_csv(tmp_path / "t.csv", index=False)
    line = thinnet("predict", model, tmp_path / "t.csv").refused()
    assert line.endswith("lacks the columns 'age', 'income', 'tenure' and 'spend' that the model was trained on.")


def test_a_folder_that_is_no_model_is_refused(thinnet, model: Path, table: Path, tmp_path: Path) -> None:
    assert "is not a thinnet model" in thinnet("predict", tmp_path, table).refused()
    assert "is a file, not a model folder" in thinnet("predict", table, table).refused()
    line = thinnet("predict", tmp_path / "modell", table).refused()
    assert line == f"{tmp_path / 'modell'} is not a model folder. Did you mean 'model'?"


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("harm", ["truncated", "tampered", "gone"])
def test_a_model_that_is_not_as_saved_is_refused(thinnet, model: Path, table: Path, name: str, harm: str) -> None:
    content = bytearray((model / name).read_bytes())
    if harm == "gone":
        (model / name).unlink()
    elif harm == "truncated":
        (model / name).write_bytes(content[: len(content) // 2])
    else:
        # a digit of the card, so that it stays JSON; any bit elsewhere
        place = content.index(b'"n_configurations":4') + 19 if name == "model.json" else len(content) // 2
        content[place] ^= 1
        (model / name).write_bytes(content)
    assert name in thinnet("predict", model, table, "--out", table.with_name("p.csv")).refused()
    assert not table.with_name("p.csv").exists()


@pytest.mark.parametrize("name", ["people.csv", "mine.csv", "mine.parquet", "folder.csv"])
def test_an_out_that_is_not_ours_is_refused(thinnet, model: Path, table: Path, name: str) -> None:
    place = table.with_name(name)
    if name == "folder.csv":
        place.mkdir()
    elif not place.exists():
        place.write_text("mine,too\n1,2\n")
    before = None if place.is_dir() else place.read_bytes()
    line = thinnet("predict", model, table, "--out", place).refused()
    assert line == f"{place} exists and is not a table of predictions: name another file, or remove it."
    assert place.is_dir() or place.read_bytes() == before


def test_predictions_of_ours_are_replaced(thinnet, model: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("prediction,p_no\nold,1\n")
    assert thinnet("predict", model, table, "--out", tmp_path / "p.csv").status == 0
    assert "old" not in (tmp_path / "p.csv").read_text()


@pytest.mark.parametrize(
    ("name", "says"),
    [("p.xlsx", "the suffix '.xlsx' is not supported"), ("nowhere/p.csv", "there is no folder"), ("p", "no suffix")],
)
def test_an_out_that_cannot_be_is_refused(thinnet, model: Path, table: Path, name: str, says: str) -> None:
    assert says in thinnet("predict", model, table, "--out", table.parent / name).refused()


def test_an_empty_and_a_binary_table_are_refused(thinnet, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert thinnet("predict", model, tmp_path / "empty.csv").refused().endswith("is empty (0 bytes).")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    assert "is binary, not text" in thinnet("predict", model, tmp_path / "binary.csv").refused()
