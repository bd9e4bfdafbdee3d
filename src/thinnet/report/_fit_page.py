"""The report of a fit as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from thinnet._extras import needed_for
from thinnet.report._file import write_page
from thinnet.report._finding import Row, headline, rows, unregularized
from thinnet.report._fit_results import UNREGULARIZED, Curve, Results, Weights
from thinnet.report._numbers import number, share

with needed_for("a report"):
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from thinnet.report._figures import common_top, curve_figure, histogram, weights_figure

SHOWN = 12
"""Members that the leaderboard shows before the reader opens the rest."""


@dataclass(frozen=True)
class Panel:
    """One figure of the page: whose it is, its colour and its data."""

    name: str
    colour: str
    figure: Markup
    label: str


@dataclass(frozen=True)
class Layer:
    """The histograms of one layer, a member each."""

    name: str
    panels: list[Panel]


def write_report(results: Results, path: str | os.PathLike[str]) -> Path:
    """Write the page; a reader sees the old file or the whole new one, never a part.

    Args:
        results: what to show.
        path: the HTML file, in a folder that exists.

    Returns:
        The path.

    Raises:
        OSError: if the file cannot be written; an older one is then left as it was.
    """
    return write_page(render(results), Path(path))


def render(results: Results) -> str:
    """The page as text."""
    environment = templates()
    members = rows(results.leaderboard)
    shown = [row for row in members if row in members[:SHOWN] or row is unregularized(members)]
    return environment.get_template("report.html.jinja").render(
        results=results,
        headline=headline(members, results.metric),
        duel=duel(members),
        curves=curve_panels(results.curves, results.metric),
        layers=weight_layers(results.weights),
        first=shown,
        rest=[row for row in members if row not in shown],
        heaviest=max((row.weight for row in members), default=0.0) or 1.0,
        words=words(members),
        style=piece("report.css"),
        script=piece("report.js"),
        plotly=Markup(get_plotlyjs()),
    )


def templates() -> jinja2.Environment:
    """The pages' templates, with numbers as people read them."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("thinnet.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["share"] = share
    return environment


def piece(name: str) -> Markup:
    """A stylesheet or script of the package."""
    return Markup((resources.files("thinnet.report") / "templates" / name).read_text(encoding="utf-8"))


def duel(members: Sequence[Row]) -> list[tuple[Row, str, float, float]]:
    """The best and the unregularized member with their training and held-out scores in percent of the widest."""
    chosen = [members[0]]
    plain = unregularized(list(members))
    if plain is not None and plain is not members[0]:
        chosen.append(plain)
    scores = [score for row in chosen for score in (row.train, row.held_out) if np.isfinite(score)]
    widest = max(scores, default=0.0) or 1.0
    return [(row, colour(row.name), 100 * row.train / widest, 100 * row.held_out / widest) for row in chosen]


def colour(name: str) -> str:
    """The CSS variable of a member's colour."""
    return "plain" if name == UNREGULARIZED else "best"


def embed(figure: object) -> Markup:
    """A figure's JSON, safe inside a script element whatever the names in it."""
    return Markup(figure.to_json().replace("<", "\\u003c"))  # type: ignore[attr-defined]


def curve_panels(curves: Sequence[Curve], metric: str) -> list[Panel]:
    """A learning curve a member, on one scale."""
    top = common_top(curves)
    panels = []
    for curve in curves:
        figure = embed(curve_figure(curve, metric, colour(curve.name), top))
        label = f"Losses of {curve.name} by epoch; epoch {curve.best_epoch} was kept."
        panels.append(Panel(curve.name, colour(curve.name), figure, label))
    return panels


def weight_layers(weights: Sequence[Weights]) -> list[Layer]:
    """The histograms layer by layer, all members of a layer on one scale."""
    layers = []
    for name in dict.fromkeys(name for member in weights for name in member.layers):
        owners = [member for member in weights if name in member.layers]
        sizes = np.abs(np.concatenate([np.asarray(m.layers[name], dtype=float).ravel() for m in owners]))
        # the far tail of a few weights would squash the rest; it is counted in the outermost bins
        reach = float(np.quantile(sizes[sizes > 0], 0.995)) if (sizes > 0).any() else 1.0
        top = 1.08 * max(float(histogram(m.layers[name], reach)[2].max()) for m in owners) or 1.0
        panels = []
        for member in owners:
            w = np.asarray(member.layers[name])
            figure = embed(weights_figure(w, colour(member.name), reach, top))
            zeros = float(np.mean(w == 0)) if w.size else 0.0
            label = f"Weights of {name} of {member.name}: {w.size:,} weights, {share(zeros)} exactly zero."
            panels.append(Panel(member.name, colour(member.name), figure, label))
        layers.append(Layer(name, panels))
    return layers


MEANINGS = {
    "dropout": "At every step other randomly chosen nodes are left out, so that no node can rely on another.",
    "L1": "Pulls every weight towards zero by the same amount, until many are exactly zero.",
    "L2": "Pulls large weights towards zero the harder the larger they are; none becomes exactly zero.",
    "group lasso": "Like L1 for all weights of a node together: whole nodes become zero.",
    "elastic net": "L1 and L2 together.",
    "max-norm": "Keeps the weights that lead into a node within a ball of a fixed radius.",
    "weight decay": "Shrinks every weight a little after every step.",
    "label smoothing": "Asks the network to be a little less sure than its training labels are.",
    "noise": "Adds a little noise to the inputs, other noise at every step.",
}


def words(members: Sequence[Row]) -> dict[str, str]:
    """What the regularizers on this page do, in one sentence each."""
    named = " ".join(row.name for row in members)
    return {word: meaning for word, meaning in MEANINGS.items() if word.lower() in named.lower()}
