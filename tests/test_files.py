import errno
import os
import stat
from pathlib import Path

import pytest

from thinnet._files import replacing_file, replacing_folder, write_bytes, write_text


def full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_file_is_written_whole(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)
    write_bytes(path, b"new")
    assert tree(tmp_path) == {"a.bin": b"new"}
    assert len(list(tmp_path.iterdir())) == 1


def test_text_is_utf8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "é\r\n\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\r\n\n"


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_the_writer_gets_a_file_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(b"old")
    with replacing_file(path) as partial:
        assert (partial.name, partial.exists(), path.read_bytes()) == ("model.pt2", False, b"old")
        partial.write_bytes(b"new")
    assert tree(tmp_path) == {"model.pt2": b"new"}


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("stop")])
def test_a_writer_that_fails_changes_nothing(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(type(error), match=str(error)), replacing_file(path) as partial:
        partial.write_bytes(b"half")
        raise error
    assert tree(tmp_path) == {"a": b"old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "a", b"new")
    assert tree(tmp_path) == {"a": b"old"}


def test_file_and_folder_are_synced_in_that_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    write_bytes(tmp_path / "a", b"new")
    assert [Path(name).name for name in synced] == ["a", tmp_path.name]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        write_bytes(tmp_path / "a", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_new_folder_is_written_whole(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "model", owned=["card"]) as folder:
        (folder / "card").write_bytes(b"new")
        assert not (tmp_path / "model").exists()
    assert tree(tmp_path) == {"model/card": b"new"}
    assert len(list(tmp_path.iterdir())) == 1


def test_files_of_others_move_into_the_new_folder(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    for name in ("card", "weights", "notes.txt"):
        (place / name).write_bytes(b"old")
    with replacing_folder(place, owned=["card", "weights"]) as folder:
        (folder / "card").write_bytes(b"new")
    assert tree(tmp_path) == {"model/card": b"new", "model/notes.txt": b"old"}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("failing", [1, 2])
def test_the_old_folder_comes_back_if_a_rename_fails(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "card").write_bytes(b"old")
    real, calls = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="Permission denied"), replacing_folder(place, owned=["card"]) as folder:
        (folder / "card").write_bytes(b"new")
    assert tree(tmp_path) == {"model/card": b"old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "card").write_bytes(b"old")
    with pytest.raises(ValueError, match="mine"), replacing_folder(place, owned=["card"]) as folder:
        (folder / "card").write_bytes(b"new")
        raise ValueError("mine")
    assert tree(tmp_path) == {"model/card": b"old"}
    assert len(list(tmp_path.iterdir())) == 1
