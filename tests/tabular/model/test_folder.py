import errno
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet.errors import ModelFolderError
from thinnet.tabular.model import _folder
from thinnet.tabular.model._folder import Card, check_destination, read_folder, write_folder

CARD = Card(library="0.1.0", estimator="Model", params={"time_limit": 60}, payload={"curve": [1.0, 0.1 + 0.2]})
FILES = ["model.json", "weights.safetensors"]


def arrays(value: float = 1.0) -> dict[str, np.ndarray]:
    return {"w": np.full((2, 3), value, dtype=np.float32), "b": np.arange(2.0)}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def save(path: Path, value: float = 1.0) -> Path:
    return write_folder(path, CARD, arrays(value))


def reseal(folder: Path, weights: bytes) -> None:
    """Puts other weights into a folder with hashes and seal that fit them, as a forger would."""
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "model.json").write_bytes(_folder._sealed(CARD, {"weights.safetensors": weights}))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "deep" / "model", CARD, arrays())
    assert sorted(os.listdir(folder)) == FILES
    model = read_folder(folder)
    same(model.arrays, arrays())
    assert model.card.model_dump(exclude={"files", "seal"}) == CARD.model_dump(exclude={"files", "seal"})


def test_views_of_one_stack_are_saved_each_by_itself(tmp_path: Path) -> None:
    stack = np.arange(12.0).reshape(3, 2, 2)
    members = {str(i): stack[i].T for i in range(3)}
    same(read_folder(write_folder(tmp_path / "m", CARD, members)).arrays, members)


def test_a_model_replaces_a_model_and_leaves_other_files(tmp_path: Path) -> None:
    save(tmp_path / "m")
    (tmp_path / "m" / "notes.txt").write_text("mine")
    save(tmp_path / "m", 2.0)
    assert read_folder(tmp_path / "m").arrays["w"][0, 0] == 2
    assert (tmp_path / "m" / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["m"]


def test_an_empty_folder_and_a_link_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    assert save(tmp_path / "link") == tmp_path / "empty"
    assert (tmp_path / "link").is_symlink()
    assert read_folder(tmp_path / "link").card.estimator == "Model"


def foreign_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


def foreign_model(path: Path) -> None:
    path.mkdir()
    (path / "model.json").write_text('{"class_name": "Sequential"}')


def file(path: Path) -> None:
    path.write_text("years of work")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (foreign_folder, "is not empty and holds no thinnet model. Choose another folder"),
        (foreign_model, "is not empty and holds no thinnet model. Choose another folder"),
        (file, "is a file, not a folder. Choose another name"),
    ],
)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "theirs")
    for attempt in (save, check_destination):
        with pytest.raises(ModelFolderError, match=message):
            attempt(tmp_path / "theirs")
    assert os.listdir(tmp_path) == ["theirs"]


def test_a_file_as_parent_is_refused(tmp_path: Path) -> None:
    file(tmp_path / "theirs")
    with pytest.raises(ModelFolderError, match=r"theirs is not a writable folder\. Choose another place"):
        check_destination(tmp_path / "theirs" / "deep" / "m")


def test_a_parent_that_is_not_writable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the superuser may write anywhere, so the system's answer is given here
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(ModelFolderError, match=r"is not a writable folder\. Choose another place"):
        save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("standing", [False, True], ids=["new", "replacing"])
@pytest.mark.parametrize("call", [0, 1, 2], ids=lambda call: f"fsync {call}")
def test_a_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, standing: bool
) -> None:
    if standing:
        save(tmp_path / "m")
    calls = iter(range(10))

    def fsync(handle: int) -> None:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ModelFolderError, match=r"could not be written: the disk is full\. Nothing was changed\. Free"):
        save(tmp_path / "m", 2.0)
    assert os.listdir(tmp_path) == (["m"] if standing else [])
    if standing:
        assert read_folder(tmp_path / "m").arrays["w"][0, 0] == 1


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), ModelFolderError),
        (KeyboardInterrupt("Permission denied"), KeyboardInterrupt),
    ],
)
def test_the_standing_model_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, seen: type[BaseException]
) -> None:
    save(tmp_path / "m")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise raised
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(seen, match="Permission denied"):
        save(tmp_path / "m", 2.0)
    assert os.listdir(tmp_path) == ["m"]
    assert read_folder(tmp_path / "m").arrays["w"][0, 0] == 1


@pytest.mark.parametrize(
    ("payload", "message"), [({"best": float("nan")}, "Write None for NaN"), ({"best": object()}, "no plain JSON")]
)
def test_a_card_that_is_no_json_is_refused(tmp_path: Path, payload: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFolderError, match=message):
        write_folder(tmp_path / "m", CARD.model_copy(update={"payload": payload}), {})
    assert os.listdir(tmp_path) == []


def test_no_folder_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"does not exist\. Give the folder that a model was saved to"):
        read_folder(tmp_path / "m")
    for make in (file, foreign_folder):
        make(tmp_path / make.__name__)
        with pytest.raises(ModelFolderError, match=r"is not a thinnet model: it is no folder with a model\.json"):
            read_folder(tmp_path / make.__name__)
    foreign_model(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=r"is not a thinnet model: its model\.json is not one of ours"):
        read_folder(tmp_path / "m")


@pytest.mark.parametrize("name", FILES[1:])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (save(tmp_path / "m") / name).unlink()
    with pytest.raises(ModelFolderError, match=f"lacks {name}. Save the model again, or restore"):
        read_folder(tmp_path / "m")


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [cut, flip, lambda content: b""], ids=["cut", "flip", "empty"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, harm: Callable[[bytes], bytes]) -> None:
    path = save(tmp_path / "m") / name
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ModelFolderError, match=f"{name} is damaged: .* Save the model again, or restore"):
        read_folder(tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [
        {"estimator": "Other"},
        {"payload": {}},
        {"extra": 1},
        {"format": "1"},
        {"files": {}},
        {"files": {"../../etc/passwd": {"size": 0, "sha256": "0" * 64}}},
    ],
    ids=str,
)
def test_an_altered_card_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = save(tmp_path / "m") / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelFolderError, match=r"model\.json is damaged"):
        read_folder(tmp_path / "m")


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "m") / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99, "library": "7.0", "novelty": 1}))
    with pytest.raises(ModelFolderError, match=r"has format 99, written by thinnet 7\.0; .*pip install --upgrade"):
        read_folder(tmp_path / "m")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reseal(save(tmp_path / "m"), pickle.dumps(Bomb()))
    with pytest.raises(ModelFolderError, match="is damaged"):
        read_folder(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]
