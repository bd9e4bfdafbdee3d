"""The table of the best networks that a fit prints at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from thinnet.report import UNREGULARIZED, number, share

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10
"""Networks in the table; the best unregularized one is always among them, all are in the report."""


def leaderboard_table(leaderboard: pd.DataFrame, metric: str) -> Table:
    """The networks with the lowest held-out loss, and the best one without regularization."""
    table = Table(title=f"networks by held-out {metric}, lower is better", title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("regularizers and strengths", overflow="fold")
    for name in ("train", "held-out", "gap", "zeros", "ensemble"):
        table.add_column(name, justify="right", no_wrap=True)
    ordered = leaderboard.sort_values("rank", kind="stable")
    plain = ordered.index[ordered["regularizers"] == UNREGULARIZED][:1]
    shown = ordered.loc[ordered.index[:SHOWN].union(plain, sort=False)]
    for row in shown.to_dict("records"):
        name = str(row["regularizers"])
        table.add_row(
            str(row["rank"]),
            Text("no regularization" if name == UNREGULARIZED else name),
            number(row["train"]),
            number(row["held_out"]),
            number(row["gap"]),
            share(row["zeros"]),
            share(row["weight"]) if row["weight"] > 0 else "",
            style="bold" if row["rank"] == shown["rank"].iloc[0] else "yellow" if name == UNREGULARIZED else "",
        )
    if len(ordered) > len(shown):
        table.caption = f"and {len(ordered) - len(shown)} more in the report"
        table.caption_justify = "left"
    return table
