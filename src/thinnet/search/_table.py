"""The points of a path as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thinnet.search._point import Point


def path_frame(points: Sequence[Point]) -> Any:
    """A DataFrame, a row a point."""
    try:
        import pandas as pd
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f'a table of a path needs {missing.name}: pip install "thinnet[tabular]" (print(path) does not)',
            name=missing.name,
        ) from missing
    return pd.DataFrame([_row(point) for point in points])


def _row(point: Point) -> dict[str, Any]:
    names = ("strength", "error", "se", "nonzero", "zeros", "norm", "rounds", "diverged")
    groups = {f"groups of {name}": left for name, left in point.groups.items()}
    return {name: getattr(point, name) for name in names} | groups


def path_text(points: Sequence[Point]) -> str:
    """Columns of text, a line a point."""
    rows = [["strength", "error", "se", "nonzero", "groups", "norm", "rounds"]]
    for p in points:
        error = "diverged" if p.diverged else f"{p.error:.4g}"
        groups = str(sum(p.groups.values())) if p.groups else ""
        numbers = [f"{p.strength:.4g}", error, "" if p.se != p.se else f"{p.se:.2g}"]
        rows.append([*numbers, str(p.nonzero), groups, f"{p.norm:.4g}", str(p.rounds)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
