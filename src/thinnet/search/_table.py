"""Table of the points of a path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thinnet._extras import needed_for
from thinnet._text_table import text_table
from thinnet.search._choice import best, one_se
from thinnet.search._point import Point


def path_frame(points: Sequence[Point]) -> Any:
    """A DataFrame, a row a point."""
    with needed_for("a table of a path"):
        import pandas as pd
    return pd.DataFrame([_row(point) for point in points])


def _row(point: Point) -> dict[str, Any]:
    names = ("strength", "error", "se", "nonzero", "zeros", "norm", "rounds", "diverged")
    groups = {f"groups of {name}": left for name, left in point.groups.items()}
    return {name: getattr(point, name) for name in names} | groups


def path_text(points: Sequence[Point]) -> str:
    """Columns of text, a line a point."""
    trained = [point for point in points if math.isfinite(point.error)]
    marks = {id(best(points)): "best"} if trained else {}
    if trained and not math.isnan(best(points).se):
        simple = one_se(points)
        marks[id(simple)] = f"{marks[id(simple)]}, one_se" if id(simple) in marks else "one_se"
    columns = [_cells(point) | {"": marks.get(id(point), "")} for point in points]
    # where nothing can become zero there is nothing to say of zeros
    names = [name for name in columns[0] if any(cells[name] for cells in columns)]
    rows = [names, *([cells[name] for name in names] for cells in columns)]
    return text_table(rows, left=())


def _cells(p: Point) -> dict[str, str]:
    return {
        "strength": f"{p.strength:.4g}",
        "error": "diverged" if p.diverged else f"{p.error:.4g}",
        "se": "" if p.se != p.se else f"{p.se:.2g}",
        "nonzero": str(p.nonzero) if p.weights else "",
        "groups": str(sum(p.groups.values())) if p.groups else "",
        "norm": f"{p.norm:.4g}" if p.weights else "",
        "rounds": str(p.rounds),
    }
