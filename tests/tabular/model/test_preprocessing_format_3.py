import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thinnet.errors import ModelFolderError
from thinnet.tabular import ThinNetClassifier, load
from thinnet.tabular.model import _folder

FOLDERS = Path(__file__).parent / "folders_of_format_3"
"""Written by the last version that wrote format 3, each with the predictions that this version gave."""

NAMES = sorted(folder.name for folder in FOLDERS.iterdir() if folder.is_dir())


def rows(name: str) -> Any:
    table = pd.read_csv(FOLDERS / "rows.csv")
    return table[["age", "code"]].to_numpy(float) if name == "array" else table


def check(model: Any, name: str) -> None:
    """Compare a model's predictions for the stored rows with the stored ones."""
    expected = json.loads((FOLDERS / name / "predictions.json").read_text())
    assert model.held_out_score_ == expected["held_out_score"]
    if isinstance(model, ThinNetClassifier):
        assert model.predict(rows(name)).tolist() == expected["predict"]
        np.testing.assert_allclose(model.predict_proba(rows(name)), expected["predict_proba"], rtol=1e-5, atol=1e-7)
    else:
        mean, std = model.predict(rows(name), return_std=True)
        np.testing.assert_allclose(mean, expected["predict"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(std, expected["std"], rtol=1e-5)


def test_the_folders_are_there() -> None:
    assert NAMES == ["array", "classifier", "compacted", "features", "polished", "regressor"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_format_3_predicts_as_it_did(name: str) -> None:
    check(load(FOLDERS / name), name)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_in_the_newest_format(name: str, tmp_path: Path) -> None:
    place = load(FOLDERS / name).save(tmp_path / "model")
    assert sorted(os.listdir(place)) == ["model.json", "weights.safetensors"]
    assert json.loads((place / "model.json").read_text())["format"] == 4
    check(load(place), name)


@pytest.mark.parametrize("name", ["regressor", "features"])
def test_its_report_can_be_written(name: str, tmp_path: Path) -> None:
    model = load(FOLDERS / name)
    assert "held-out" in model.report(tmp_path / "report.html").read_text()
    if name == "features":
        assert model.feature_report(tmp_path / "path.html").exists()


def forged(tmp_path: Path, content: bytes) -> Path:
    """A folder of format 3 with other preprocessing, and hashes and seal that fit it."""
    place = tmp_path / "model"
    place.mkdir()
    card = _folder.Card.model_validate_json((FOLDERS / "regressor" / "model.json").read_bytes())
    weights = (FOLDERS / "regressor" / "weights.safetensors").read_bytes()
    contents = {"weights.safetensors": weights, "preprocessing.skops": content}
    for name, data in contents.items():
        (place / name).write_bytes(data)
    (place / "model.json").write_bytes(_folder._sealed(card, contents))
    return place


def archive(node: dict[str, Any], **files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("schema.json", json.dumps(node))
        for name, data in files.items():
            out.writestr(name, data)
    return target.getvalue()


def node(loader: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"__class__": "dict", "__module__": "builtins", "__loader__": loader, "__id__": 1, "content": content} | more


CALL = {"__class__": "mkdir", "__module__": "os", "__loader__": "ReduceNode", "__id__": 2, "content": ["exploded"]}
PICKLED = node("NdArrayNode", None, type="numpy", file="x.npy")


def pickled_array() -> bytes:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, ("exploded",)

    target = io.BytesIO()
    np.save(target, np.array([Bomb()], dtype=object), allow_pickle=True)
    return target.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive(node("DictNode", {})),
        archive(node("ListNode", [])),
        archive(node("DictNode", {"schema": CALL, "encoder": CALL})),
        archive(node("DictNode", {"schema": PICKLED}), **{"x.npy": pickled_array()}),
    ],
    ids=["empty", "text", "nothing", "no dictionary", "a call", "a pickle"],
)
def test_preprocessing_of_another_kind_is_refused_and_not_executed(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFolderError, match=r"preprocessing\.skops is damaged: .* Save the model again, or restore"):
        load(forged(tmp_path, content))
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("name", ["preprocessing.skops", "weights.safetensors"])
def test_a_file_that_is_missing_or_altered_is_named(name: str, tmp_path: Path) -> None:
    place = forged(tmp_path, (FOLDERS / "regressor" / "preprocessing.skops").read_bytes())
    content = (place / name).read_bytes()
    (place / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFolderError, match=f"{name} is damaged"):
        load(place)
    (place / name).unlink()
    with pytest.raises(ModelFolderError, match=f"lacks {name}. Save the model again, or restore"):
        load(place)
