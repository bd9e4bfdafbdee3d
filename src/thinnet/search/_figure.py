"""Figure of a path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from thinnet._extras import needed_for
from thinnet.search._choice import best, leaves, one_se
from thinnet.search._point import Point

INK, OURS, SIMPLE = "#6b7280", "#2563eb", "#d97706"
"""Colours that are readable on white, also for those who see no red or green."""

SHOWN = 40
"""Most groups of a weight that are shown: those that become zero last."""


def path_figure(points: Sequence[Point], names: Mapping[str, Sequence[str]]) -> Any:
    """Plot error, nonzero weights, norm and the strengths at which groups become zero, one below the other."""
    with needed_for("a figure"):
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    trained = sorted((p for p in points if math.isfinite(p.error)), key=lambda p: p.strength)
    chosen = best(points)
    along = [p for p in trained if p.strength > 0]
    grouped = {name: leaves(points, name) for name in _whole(points)}
    left: dict[str, list[float]] = {}
    if chosen.weights:  # of a scalar that makes no zeros there is nothing more to show
        left["nonzero weights"] = [p.nonzero for p in along]
        left |= {f"nonzero groups of {name}": [p.groups[name] for p in along] for name in chosen.groups}
        left["norm of weights"] = [p.norm for p in along]
    titles = ["held-out error", *left]
    orders = [f"strength at which groups of {name} become zero" for name in grouped]
    rows = len(titles) + len(orders)
    heights = [300.0] + [180.0] * (len(titles) - 1) + [40.0 + 16 * min(len(grouped[n]), SHOWN) for n in grouped]
    figure = make_subplots(
        rows=rows, cols=1, subplot_titles=titles + orders, row_heights=heights, vertical_spacing=0.06
    )
    x = [p.strength for p in along]

    def curve(row: int, y: list[float], colour: str = OURS, **more: Any) -> None:
        line = go.Scatter(x=x, y=y, mode="lines+markers", marker={"size": 4}, line={"color": colour}, **more)
        figure.add_trace(line, row=row, col=1)
        figure.update_xaxes(type="log", row=row, col=1)

    if not math.isnan(chosen.se):
        bounds = [p.error - p.se for p in along] + [p.error + p.se for p in reversed(along)]
        band = {"fill": "toself", "fillcolor": "rgba(37, 99, 235, 0.15)", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=x + x[::-1], y=bounds, name="± one standard error", **band), row=1, col=1)
    curve(1, [p.error for p in along], name="error")
    marks = [("best", chosen, OURS)]
    if not math.isnan(chosen.se):
        marks.append(("one standard error", one_se(points), SIMPLE))
    for p in trained:
        if p.strength == 0:
            said = ["at 0", *(name for name, marked, _ in marks if marked is p)]
            dotted = {"dash": "dot", "color": INK}
            figure.add_hline(y=p.error, line=dotted, annotation_text=": ".join(said), row=1, col=1)
    for name, p, colour in marks:
        if p.strength > 0:
            mark = {"size": 12, "symbol": "circle-open", "color": colour, "line": {"width": 3}}
            point = go.Scatter(x=[p.strength], y=[p.error], mode="markers", marker=mark, name=name)
            figure.add_trace(point, row=1, col=1)
    for row, y in enumerate(left.values(), 2):
        curve(row, y, showlegend=False)
    for row, (name, when) in enumerate(grouped.items(), len(titles) + 1):
        order = when.argsort()[-SHOWN:].tolist()
        labels = [names[name][i] if name in names else str(i) for i in order]
        last = max((p.strength for p in points), default=1.0)
        bars = [min(float(when[i]), last) for i in order]
        figure.add_trace(go.Bar(x=bars, y=labels, orientation="h", marker={"color": OURS}, showlegend=False), row, 1)
        figure.update_xaxes(type="log", row=row, col=1)
        figure.update_yaxes(type="category", dtick=1, row=row, col=1)
    height = sum(heights) + 80 * rows + 60
    above = 1 + 25 / height  # clear of the first title
    legend = {"orientation": "h", "y": above, "yanchor": "bottom", "x": 1.0, "xanchor": "right"}
    figure.update_layout(template="plotly_white", height=height, width=860, legend=legend)
    figure.update_layout(margin={"t": 110})
    ends = [math.log10(min(x)), math.log10(max(x))] if len(x) > 1 else None
    figure.update_xaxes(range=ends and [ends[0] - 0.05, ends[1] + 0.05])
    figure.update_xaxes(title="strength", row=rows, col=1)
    return figure


def _whole(points: Sequence[Point]) -> list[str]:
    """Weights whose groups are the same along the whole path."""
    names = dict.fromkeys(name for p in points for name in p.alive)
    return [n for n in names if len({p.alive[n].shape for p in points if n in p.alive and not p.diverged}) == 1]
