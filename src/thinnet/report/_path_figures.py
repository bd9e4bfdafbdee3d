"""The figures of a path, as plotly's JSON; colours are names of CSS variables, so that light and dark share them."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from thinnet.report._path_results import PathResults

FLAT = 0.05
"""The least height of the error's axis as a share of the best error: noise on a flat path must not look like a hill."""


FAR = 8
"""How many of its distances from the best error to the chosen one's upper end the axis goes on above that."""


def error_figure(results: PathResults) -> go.Figure:
    """Held-out error against strength, one standard error to either side; the best and the chosen point marked."""
    points = results.points[results.points["strength"] > 0]
    x, y = (points[name].to_numpy(dtype=float) for name in ("strength", "held_out"))
    se = np.nan_to_num(points["se"].to_numpy(dtype=float))
    known = np.isfinite(y)
    figure = go.Figure(layout=go.Layout(showlegend=False))
    low, high = (y - se)[known], (y + se)[known]
    figure.add_scatter(
        x=[*x[known], *x[known][::-1]],
        y=[*high, *low[::-1]],
        mode="lines",
        fill="toself",
        fillcolor="var(--best-wash)",
        line={"width": 0},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x[known].tolist(),
        y=y[known].tolist(),
        customdata=points["features"].to_numpy()[known].tolist(),
        mode="lines+markers",
        line={"color": "var(--best)", "width": 2.5},
        marker={"color": "var(--best)", "size": 4},
        hovertemplate="strength %{x:.3g}: %{y:.4f}, %{customdata} columns<extra></extra>",
    )
    bottom, top = error_range(results)
    dense = results.points.loc[results.points["strength"] == 0, "held_out"]
    if len(dense) and bottom <= dense.iloc[0] <= top:
        # strength 0 has no place on a logarithmic axis
        figure.add_hline(
            y=float(dense.iloc[0]),
            line={"color": "var(--plain)", "dash": "4px,4px", "width": 1.5},
            annotation={"text": "without a penalty", "font": {"color": "var(--plain)"}},
        )
    if not known.all():
        figure.add_scatter(
            x=x[~known].tolist(),
            y=[top] * int((~known).sum()),
            mode="markers",
            marker={"color": "var(--plain)", "size": 9, "symbol": "x"},
            cliponaxis=False,
            hovertemplate="strength %{x:.3g}: training diverged<extra></extra>",
        )
    marks = [(results.best, "best", "var(--card)"), (results.strength, "chosen", "var(--zero)")]
    if results.best == results.strength:
        marks = [(results.best, "best and chosen", "var(--zero)")]
    for strength, name, colour in marks:
        if not strength:
            continue
        row = points.loc[points["strength"] == strength].iloc[0]
        figure.add_scatter(
            x=[strength],
            y=[float(row["held_out"])],
            mode="markers+text",
            text=[name],
            textposition="bottom center",
            textfont={"color": "var(--text)"},
            marker={"color": colour, "size": 13, "line": {"color": "var(--best)", "width": 3}},
            cliponaxis=False,
            hovertemplate=f"{name}: strength %{{x:.3g}}, %{{y:.4f}}, {int(row['features'])} columns<extra></extra>",
        )
    _strength_axis(figure)
    figure.update_yaxes(title=f"held-out {results.metric}", range=[bottom, top])
    return figure


def error_range(results: PathResults) -> tuple[float, float]:
    """Ends of the error's axis that show the band near the best point, and all of it where it is not far off.

    Where everything is gone the error is often many times the best one, and would squash what the choice is about.
    """
    y, se = (results.points[name].to_numpy(dtype=float) for name in ("held_out", "se"))
    y, se = y[np.isfinite(y)], np.nan_to_num(se[np.isfinite(y)])
    if not y.size:
        return 0.0, 1.0
    at = int(np.argmin(y))
    low, high = float((y - se).min()), float((y + se).max())
    chosen = results.points.loc[results.points["strength"] == results.strength].iloc[0]
    shown = max(float(y[at] + se[at]), float(np.nan_to_num(chosen["held_out"] + chosen["se"], nan=-np.inf)))
    high = min(high, shown + FAR * max(shown - low, FLAT * abs(float(y[at]))))
    margin = max(0.08 * (high - low), 0.5 * FLAT * abs(float(y[at])), 1e-12)
    return max(low - 1.6 * margin, 0.0) if low >= 0 else low - 1.6 * margin, high + margin


def line_figure(results: PathResults, column: str, title: str, *, factor: float = 1.0, suffix: str = "") -> go.Figure:
    """One column of the points against strength, the chosen point marked.

    Args:
        results: the path.
        column: which.
        title: of the vertical axis.
        factor: what its values are multiplied by.
        suffix: what follows the numbers on the axis.
    """
    points = results.points[results.points["strength"] > 0]
    x = points["strength"].to_numpy(dtype=float)
    y = factor * points[column].to_numpy(dtype=float)
    known, chosen = np.isfinite(y), x == results.strength
    figure = go.Figure(layout=go.Layout(showlegend=False))
    figure.add_scatter(
        x=x[known].tolist(),
        y=y[known].tolist(),
        mode="lines",
        line={"color": "var(--best)", "width": 2.5, "shape": "hv" if column == "features" else "linear"},
        hovertemplate=f"strength %{{x:.3g}}: %{{y:.4g}}{suffix}<extra></extra>",
    )
    figure.add_scatter(
        x=x[chosen & known].tolist(),
        y=y[chosen & known].tolist(),
        mode="markers",
        marker={"color": "var(--zero)", "size": 11, "line": {"color": "var(--best)", "width": 2.5}},
        cliponaxis=False,
        hovertemplate=f"chosen: strength %{{x:.3g}}, %{{y:.4g}}{suffix}<extra></extra>",
    )
    _strength_axis(figure)
    top = 1.08 * float(y[known].max()) if known.any() and y[known].max() > 0 else 1.0
    figure.update_yaxes(title=title, range=[0, top], ticksuffix=suffix)
    return figure


def _strength_axis(figure: go.Figure) -> None:
    figure.update_xaxes(title="strength", type="log", showgrid=False, exponentformat="power", dtick=1)
