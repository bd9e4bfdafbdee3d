"""The report of a regularization path as one HTML page."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from thinnet.report._file import write_page
from thinnet.report._fit_page import Panel, embed, piece, templates
from thinnet.report._numbers import number
from thinnet.report._path_figures import error_figure, line_figure
from thinnet.report._path_results import PathResults

SHOWN = 30
"""Features whose bars are shown before the reader opens the rest; the chosen ones always are."""

LEAST = 2.0
"""Percent that the shortest bar has, so that it can be seen."""


@dataclass(frozen=True)
class Stay:
    """How long one feature stayed.

    Args:
        name: its name.
        chosen: whether it was chosen.
        strength: the strength at which it left; infinite where it never did.
        width: the length of its bar in percent, on the logarithmic axis of the path.
    """

    name: str
    chosen: bool
    strength: float
    width: float

    @property
    def told(self) -> str:
        """When it left, in words."""
        return f"left at {self.strength:.2g}" if math.isfinite(self.strength) else "never left"


def write_path(results: PathResults, path: str | os.PathLike[str]) -> Path:
    """Write a self-contained page of a path: error, features, zeros and norm against strength, and who left when.

    Args:
        results: what to show.
        path: the HTML file, in a folder that exists.

    Returns:
        The path of the file.

    Raises:
        OSError: if the file cannot be written; an older one is then left as it was.
    """
    return write_page(render_path(results), Path(path))


def render_path(results: PathResults) -> str:
    """The page as text."""
    stays = feature_stays(results)
    shown = [stay for i, stay in enumerate(stays) if i < SHOWN or stay.chosen]
    return (
        templates()
        .get_template("path.html.jinja")
        .render(
            results=results,
            headline=path_finding(results),
            error=embed(error_figure(results)),
            panels=panels(results),
            first=shown,
            rest=[stay for stay in stays if stay not in shown],
            style=piece("report.css"),
            script=piece("report.js"),
            plotly=Markup(get_plotlyjs()),
        )
    )


def path_finding(results: PathResults) -> str:
    """One sentence that says what the path found."""
    points = results.points
    chosen, best = (points[points["strength"] == strength].iloc[0] for strength in (results.strength, results.best))
    count, every = len(results.chosen), len(results.leaves)
    columns = f"{count} of {every} columns {'is' if count == 1 else 'are'} enough"
    score = f"held-out {results.metric} {number(float(chosen['held_out']))}"
    if count == every:
        return f"Every one of the {every} columns is chosen, at {score}."
    if results.strength == results.best:
        return f"{columns}: at the best strength the others are gone, at {score}."
    return (
        f"{columns}: {score}, within one standard error of the best, {number(float(best['held_out']))} "
        f"with {int(best['features'])}."
    )


def panels(results: PathResults) -> list[Panel]:
    """What is left along the path."""
    figures = [
        ("Columns left", line_figure(results, "features", "columns")),
        ("Exact zeros", line_figure(results, "zeros", "of the weights", factor=100, suffix=" %")),
        ("Norm of the weights", line_figure(results, "norm", "norm")),
    ]
    return [Panel(name, "best", embed(figure), f"{name} against strength.") for name, figure in figures]


def feature_stays(results: PathResults) -> list[Stay]:
    """Every feature with its bar, the longest first."""
    strengths = results.points["strength"].to_numpy(dtype=float)
    strengths = strengths[strengths > 0]

    def width(strength: float) -> float:
        if not math.isfinite(strength):
            return 100.0
        if len(strengths) < 2 or strength <= strengths[0]:
            return LEAST
        reached = math.log(strength / strengths[0]) / math.log(strengths[-1] / strengths[0])
        return LEAST + (100 - LEAST) * min(reached, 1.0)

    chosen = set(results.chosen)
    stays = [Stay(name, name in chosen, left, width(left)) for name, left in results.leaves.items()]
    return sorted(stays, key=lambda stay: (-stay.strength, not stay.chosen))
