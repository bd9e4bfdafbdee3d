import errno
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from thinnet.report import Results, write_report

EVIL = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """Text outside scripts and styles, tags with their attributes, and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.scripts, self.inside = "", [], [], ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.text += data


@pytest.fixture
def page(results: Results, tmp_path: Path) -> Page:
    return Page(write_report(results, tmp_path / "report.html").read_text(encoding="utf-8"))


def test_the_finding_is_the_headline(page: Page) -> None:
    assert "has held-out log loss 0.410; the best network without regularization 0.550" in page.text


def test_every_fact_and_note_is_there(page: Page) -> None:
    assert "7,043" in page.text
    assert "was left out: it has one value only." in page.text


def test_names_are_text_and_never_markup(page: Page) -> None:
    assert page.text.count(EVIL) >= 4, "title, fact, note and layer"
    assert "alert(1)" not in {script.strip() for script in page.scripts}
    assert len(page.scripts) == 2 + 2 + 3, "plotly, ours, two curves and three histograms"


def test_nothing_is_asked_of_any_server(page: Page) -> None:
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "img", "iframe", "object", "embed"})
    assert not any({"src", "href"} & attributes.keys() for _, attributes in page.tags)
    [policy] = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'")


def test_plotly_stands_in_the_page_once(page: Page) -> None:
    assert len([script for script in page.scripts if len(script) > 1_000_000]) == 1


def test_the_unregularized_network_is_on_the_first_screen(page: Page) -> None:
    assert page.text.index("no regularization", page.text.index("Leaderboard")) < page.text.index("Show 5 more")


def test_the_best_stands_beside_the_unregularized(page: Page) -> None:
    figures = page.text.index("How they learned")
    assert figures < page.text.index("dropout 0.3 + L1 0.002", figures) < page.text.index("no regularization", figures)


def test_a_score_that_was_not_measured_is_a_dash(results: Results, leaderboard: pd.DataFrame, tmp_path: Path) -> None:
    unmeasured = Results("t", "regression", "RMSE", {}, leaderboard.assign(train=float("nan")), [], [], [])
    text = write_report(unmeasured, tmp_path / "r.html").read_text(encoding="utf-8").partition("<script>")[0]
    assert not re.search(r">\s*nan", text)
    assert "—" in Page(text).text


def test_only_regularizers_of_the_page_are_explained(page: Page) -> None:
    words = page.text[page.text.index("Words on this page") :]
    assert "randomly chosen nodes" in words
    assert "max-norm" not in words


def test_a_full_disk_leaves_the_old_report_and_no_part(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "report.html"
    old.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(results, old)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert old.read_text() == "old"


def test_a_folder_is_no_report(results: Results, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; a report is one file"):
        write_report(results, tmp_path)
