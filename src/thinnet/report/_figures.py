"""The figures of a report, as plotly's JSON; colours are names of CSS variables, so that light and dark share them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from thinnet.report._fit_results import Curve

BINS = 41
"""Bins of a weight histogram: odd, so that one bin is centred on zero."""


def curve_figure(curve: Curve, metric: str, colour: str, top: float) -> go.Figure:
    """Losses against epochs: training dashed, held-out solid, the kept epoch marked.

    Args:
        curve: one member's losses.
        metric: the name of the loss, for the axis.
        colour: name of the CSS variable that colours it.
        top: upper end of the vertical axis, the same for figures that stand side by side.
    """
    held_out, train = np.asarray(curve.held_out, dtype=float), np.asarray(curve.train, dtype=float)
    epochs = np.asarray(curve.epochs)
    figure = go.Figure(layout=go.Layout(showlegend=False))
    for name, losses, dash in (("training rows", train, "6px,4px"), ("held-out rows", held_out, "solid")):
        measured = np.isfinite(losses)
        figure.add_scatter(
            x=epochs[measured].tolist(),
            y=losses[measured].tolist(),
            mode="lines" if measured.sum() > 1 else "markers",
            name=name,
            line={"color": f"var(--{colour})", "dash": dash, "width": 2.5 if dash == "solid" else 2},
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    kept = np.flatnonzero((epochs == curve.best_epoch) & np.isfinite(held_out))
    if kept.size:
        figure.add_scatter(
            x=epochs[kept[:1]].tolist(),
            y=held_out[kept[:1]].tolist(),
            mode="markers",
            name="kept",
            marker={"color": f"var(--{colour})", "size": 12, "line": {"color": "var(--card)", "width": 3}},
            hovertemplate="kept: epoch %{x}, held-out %{y:.4f}<extra></extra>",
        )
    figure.update_xaxes(title="epoch", rangemode="tozero", showgrid=False)
    figure.update_yaxes(title=metric, range=[0, top])
    return figure


def common_top(curves: Sequence[Curve]) -> float:
    """An upper end of the loss axis that shows every curve's whole story.

    That is the highest loss, except where the first epochs of a diverging start would squash everything else: the axis
    then ends above the highest loss from each curve's second tenth on.
    """
    tops = []
    for curve in curves:
        late = len(curve.epochs) // 10
        losses = [*curve.train[late:], *curve.held_out[late:]]
        tops += [max((loss for loss in losses if math.isfinite(loss)), default=0.0)]
    return 1.06 * max(tops, default=0.0) or 1.0


def weights_figure(w: np.ndarray, colour: str, reach: float, top: float) -> go.Figure:
    """The exact zeros as a bar of their own on a scale to 100 %, and the histogram of the weights that are not zero.

    Args:
        w: one layer's weights, any shape.
        colour: name of the CSS variable that colours them.
        reach: the histogram spans −reach to reach.
        top: upper end of the histogram's axis, in percent of all the layer's weights.
    """
    zeros, edges, shares = histogram(w, reach)
    figure = go.Figure(layout=go.Layout(showlegend=False, bargap=0.06))
    figure.add_bar(
        x=["exactly 0"],
        y=[zeros],
        width=[0.6],
        marker={"color": "var(--zero)"},
        text=[f"{zeros:.0f} %" if zeros >= 10 or zeros == 0 else f"{zeros:.1f} %"],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y:.2f} % of the weights are exactly zero<extra></extra>",
    )
    figure.add_bar(
        x=((edges[:-1] + edges[1:]) / 2).tolist(),
        y=shares.tolist(),
        marker={"color": f"var(--{colour})"},
        xaxis="x2",
        yaxis="y2",
        hovertemplate="near %{x:.3g}: %{y:.2f} % of the weights<extra></extra>",
    )
    figure.update_layout(
        xaxis={"domain": [0, 0.13], "showgrid": False},
        yaxis={"range": [0, 115], "showticklabels": False, "showgrid": False},
        xaxis2={"domain": [0.27, 1], "anchor": "y2", "title": "weight", "range": [-reach, reach], "showgrid": False},
        yaxis2={"anchor": "x2", "range": [0, top], "ticksuffix": " %"},
    )
    return figure


def histogram(w: np.ndarray, reach: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Percent of exact zeros, the bins' edges, and the percent of all weights in each bin, zeros left out.

    Example:
        >>> zeros, _, shares = histogram(np.array([0.0, 0.0, 0.5, -0.5]), reach=1.0)
        >>> zeros, float(shares.sum())
        (50.0, 50.0)
    """
    flat = np.asarray(w, dtype=float).ravel()
    edges = np.linspace(-reach, reach, BINS + 1)
    counts, _ = np.histogram(np.clip(flat[flat != 0], -reach, reach), edges)
    size = max(flat.size, 1)
    return 100 * float(np.mean(flat == 0)) if flat.size else 0.0, edges, 100 * counts / size
