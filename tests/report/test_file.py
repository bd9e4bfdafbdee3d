import errno
import os
from pathlib import Path

import pytest

from thinnet.report._file import write_page


def test_a_page_is_written_as_utf8_and_its_path_is_told(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    assert write_page("<p>é</p>\n", place) == place
    assert place.read_bytes() == b"<p>\xc3\xa9</p>\n"


def test_a_full_disk_leaves_the_old_page_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "report.html"
    old.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_page("new", old)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert old.read_text() == "old"


def test_a_folder_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; a report is one file, such as .*report\.html"):
        write_page("new", tmp_path)
