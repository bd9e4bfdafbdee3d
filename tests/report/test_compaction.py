import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.compaction import Report
from thinnet.report import write_compaction


def compacted(dead: int) -> Report:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    with torch.no_grad():
        model[2].weight[:, :dead] = 0
    return tn.compact(model, torch.randn(4, 5))[1]


class Text(HTMLParser):
    """The words of a page, and the tags that it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words(path: Path) -> str:
    parser = Text()
    parser.feed(path.read_text(encoding="utf-8"))
    assert not parser.open
    return re.sub(r"\s+", " ", " ".join(parser.words))


def test_numbers_are_the_reports(tmp_path: Path) -> None:
    path = write_compaction(compacted(9), tmp_path / "page.html", title="<Nine> dead")
    found = words(path)
    assert "111 parameters became 30" in found  # 5·12 + 12 + 12·3 + 3 and 5·3 + 3 + 3·3 + 3
    assert "0 Linear outputs 12 3 25 %" in found
    assert "<Nine> dead" in found
    assert "&lt;Nine&gt;" in path.read_text(encoding="utf-8")
    assert "the model returns it" in found


def test_nothing_removed_is_said(tmp_path: Path) -> None:
    found = words(write_compaction(compacted(0), tmp_path / "page.html"))
    assert "Nothing was removed" in found
    assert "Layer by layer" not in found


def test_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = write_compaction(compacted(3), tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=|https?://", page)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; a report is one file"):
        write_compaction(compacted(3), tmp_path)
