import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from thinnet.cli._errors import InputError
from thinnet.cli._read import FORMATS
from thinnet.cli._write import check_place, write_table


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_leaves_the_old_file_and_no_part(
    kind: str, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"t{kind}"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"no space left to write .*: free some"):
        write_table(frame, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


def test_what_keeps_a_file_from_being_written_is_said(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*t\.csv: Is a directory"):
        write_table(frame, tmp_path / "t.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_place_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file is a file, not a folder"):
        check_place(tmp_path / "file" / "model")


def test_a_place_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"no permission to write in .*; name another place"):
        check_place(tmp_path / "model")


def test_a_full_disk_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(InputError, match=r"no space left to write .* has 1 MB, 34 MB are needed"):
        check_place(tmp_path / "model")


def test_a_place_in_a_folder_to_be_made_is_fine(tmp_path: Path) -> None:
    check_place(tmp_path / "a" / "b" / "model", free=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise there")
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    code = "from thinnet.cli._write import to_stdout; to_stdout('x' * 10_000_000)"
    script = f'"{sys.executable}" -c "{code}" | head -c 1; exit ${{PIPESTATUS[0]}}'
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "x", "")
