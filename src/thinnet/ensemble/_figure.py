"""Axes shared by the figures of calibration."""

from __future__ import annotations

from typing import Any

from thinnet._extras import needed_for

INK, OURS = "#6b7280", "#2563eb"
"""Colours that are readable on white, also for those who see no red or green."""


def figure_of(title: str, x: str, y: str) -> Any:
    """Make plotly axes over the unit square, with the diagonal of perfect calibration.

    Raises:
        ModuleNotFoundError: without plotly.
    """
    with needed_for("a figure"):
        import plotly.graph_objects as go
    figure = go.Figure(layout=go.Layout(template="plotly_white", title=title, width=560, height=520))
    figure.update_layout(legend={"x": 0.02, "y": 0.98, "bgcolor": "rgba(255, 255, 255, 0.7)"})
    figure.update_xaxes(title=x, range=[-0.01, 1.01], constrain="domain")
    figure.update_yaxes(title=y, range=[-0.01, 1.01])
    diagonal = {"color": INK, "dash": "dot", "width": 1.5}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name="calibrated")
    return figure
