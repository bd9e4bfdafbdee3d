"""Aligned columns of text."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def text_table(rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """Rows as lines of text with aligned columns, two spaces apart.

    Args:
        rows: cells of equal number in each row; the first row may be a head.
        left: columns that are aligned to the left; the others are aligned to the right.

    Example:
        >>> print(text_table([("layer", "nodes"), ("fc1", "300"), ("out", "10")]))
        layer  nodes
        fc1      300
        out       10
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
