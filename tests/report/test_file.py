from pathlib import Path

import pytest

from thinnet.report._file import write_page


def test_a_page_is_written_as_it_is_and_replaces_an_older_one(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    place.write_text("old", encoding="utf-8")
    assert write_page("<p>λ = 0.1</p>\n", place) == place
    assert place.read_bytes() == "<p>λ = 0.1</p>\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; a report is one file, such as .*report\.html"):
        write_page("", tmp_path)


def test_no_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        write_page("", tmp_path / "nowhere" / "report.html")
    assert not list(tmp_path.iterdir())
