import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from thinnet.report import PathResults, path_finding, write_path
from thinnet.report._path import SHOWN, feature_stays

EVIL = "</script><script>alert(1)</script>"
STRENGTHS = [0.0, 0.001, 0.01, 0.1, 1.0]


@pytest.fixture
def results(path_results: PathResults) -> PathResults:
    return path_results


class Page(HTMLParser):
    """Text outside scripts and styles, tags with their attributes, scripts, and the tags that are left open."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.tags, self.scripts, self.open = "", [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text += data

    @property
    def figures(self) -> list[dict]:
        """The figures' data."""
        return [json.loads(script) for script in self.scripts if script.startswith("{")]


@pytest.fixture
def page(results: PathResults, tmp_path: Path) -> Page:
    return Page(write_path(results, tmp_path / "path.html"))


def test_the_finding_is_the_headline(page: Page) -> None:
    found = "2 of 4 columns are enough: held-out log loss 0.410, within one standard error of the best, 0.400 with 3."
    assert found in page.text
    assert page.open == []


def test_facts_notes_and_words_are_there(page: Page) -> None:
    assert all(part in page.text for part in ("7,043", "a note", "standard error", "How surprised the network is"))


def test_names_are_text_and_never_markup(page: Page) -> None:
    assert EVIL in page.text
    assert "alert(1)" not in {script.strip() for script in page.scripts}


def test_nothing_is_asked_of_any_server(page: Page) -> None:
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "img", "iframe", "object", "embed"})
    assert not any({"src", "href"} & attributes.keys() for _, attributes in page.tags)
    [policy] = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'")
    assert len([script for script in page.scripts if len(script) > 1_000_000]) == 1


def test_bars_stand_longest_first_and_the_chosen_ones_are_coloured(page: Page) -> None:
    names = re.findall(r"(income|age|alert|shoe)", page.text[page.text.index("The order in which") :])
    assert names[:4] == ["income", "age", "alert", "shoe"]
    bars = [attributes for tag, attributes in page.tags if tag == "i" and "style" in attributes]
    assert [bar["class"] for bar in bars] == ["is-chosen", "is-chosen", "", ""]
    # on the logarithmic axis from 0.001 to 1, where the shortest bar has 2 percent: 2 + 98 · (3, 3, 2, 1)/3
    assert [bar["style"] for bar in bars] == ["width:100.0%", "width:100.0%", "width:67.3%", "width:34.7%"]


def test_the_figures_are_of_the_points(page: Page) -> None:
    error, features, zeros, norm = page.figures
    band, line, best, chosen = error["data"]
    assert line["x"] == STRENGTHS[1:]
    assert line["y"] == [0.45, 0.4, 0.41, 0.69]
    assert max(band["y"]) == pytest.approx(0.69)
    assert min(band["y"]) == pytest.approx(0.38)
    assert (best["x"], best["text"], chosen["x"], chosen["text"]) == ([0.01], ["best"], [0.1], ["chosen"])
    assert error["layout"]["xaxis"]["type"] == "log"
    assert features["data"][0]["y"] == [4, 3, 2, 0]
    assert zeros["data"][0]["y"] == [0, 25, 50, 100]
    assert norm["data"][0]["y"] == [7, 5, 3, 0]
    assert [figure["data"][1]["x"] for figure in (features, zeros, norm)] == [[0.1]] * 3


def change_points(**columns: list[float]) -> Callable[[PathResults], PathResults]:
    return lambda results: replace(results, points=results.points.assign(**columns))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: replace(r, strength=0.01, chosen=["income", "age", EVIL]), "3 of 4 columns are enough: at the best"),
        (lambda r: replace(r, chosen=["age"], strength=0.1), "1 of 4 columns is enough"),
        (
            lambda r: replace(r, strength=0.001, best=0.001, chosen=list(r.leaves)),
            "Every one of the 4 columns is",
        ),
        (lambda r: replace(r, strength=0.0, best=0.0, chosen=list(r.leaves)), "Every one of the 4 columns is"),
        (change_points(held_out=[0.5, math.nan, 0.4, 0.41, math.nan], se=[0.02, math.nan, 0.02, 0.02, 0]), "2 of 4"),
        (change_points(se=[math.nan] * 5), "2 of 4 columns are enough"),
        (change_points(held_out=[0.0] * 5, se=[0.0] * 5), "held-out log loss 0.000"),
        (change_points(held_out=[-3.0, -2.0, -4.0, -3.5, 1e300]), "2 of 4 columns are enough"),
        (lambda r: replace(r, leaves=dict.fromkeys(r.leaves, math.inf)), "never left"),
        (
            lambda r: replace(r, points=r.points[:1], strength=0.0, best=0.0, chosen=list(r.leaves)),
            "Every one of the 4 columns is",
        ),
    ],
    ids=["best is chosen", "one", "all", "dense", "diverged", "no se", "zero", "negative", "never", "one point"],
)
def test_whatever_was_found_the_page_is_whole(
    results: PathResults, tmp_path: Path, change: Callable[[PathResults], PathResults], says: str
) -> None:
    page = Page(write_path(change(results), tmp_path / "path.html"))
    assert says in page.text
    assert len(page.figures) == 4
    assert "nan" not in page.text.lower()
    for figure in page.figures:
        low, high = figure["layout"]["yaxis"]["range"]
        assert math.isfinite(low) and math.isfinite(high) and low < high


def test_where_training_diverged_there_is_a_mark(results: PathResults, tmp_path: Path) -> None:
    change = change_points(held_out=[0.5, math.nan, 0.4, 0.41, 0.69])
    error = Page(write_path(change(results), tmp_path / "path.html")).figures[0]
    [mark] = [trace for trace in error["data"] if trace.get("marker", {}).get("symbol") == "x"]
    assert mark["x"] == [0.001]


def test_where_all_is_gone_the_choice_can_still_be_seen(results: PathResults, tmp_path: Path) -> None:
    far = change_points(held_out=[0.5, 0.45, 0.4, 0.41, 100.0])(results)
    low, high = Page(write_path(far, tmp_path / "path.html")).figures[0]["layout"]["yaxis"]["range"]
    assert low < 0.38 and 0.45 < high < 1


def test_many_columns_are_folded_and_the_chosen_ones_never(results: PathResults, tmp_path: Path) -> None:
    leaves = {f"c{i}": 0.01 for i in range(SHOWN + 20)} | {"late choice": 0.001}
    page = Page(write_path(replace(results, leaves=leaves, chosen=["late choice"]), tmp_path / "path.html"))
    assert "Show 20 more" in page.text
    assert page.text.index("late choice") < page.text.index("Show 20 more")


def test_bars_never_reach_beyond_the_axis(results: PathResults) -> None:
    rng = np.random.default_rng(0)
    leaves = {str(i): float(s) for i, s in enumerate(10 ** rng.uniform(-9, 9, 50))} | {
        "never": math.inf,
        "at once": 0.0,
    }
    widths = [stay.width for stay in feature_stays(replace(results, leaves=leaves, chosen=[]))]
    assert widths == sorted(widths, reverse=True)
    assert 0 < widths[-1] < widths[0] <= 100


def test_the_finding_names_the_metric(results: PathResults) -> None:
    assert "held-out RMSE 0.410" in path_finding(replace(results, metric="RMSE"))
