"""The columns that a model chose, for people, as JSON and as a page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from thinnet.cli._errors import InputError, writing
from thinnet.report import path_finding

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 15
"""Columns in the closing table; the chosen ones are always there, the rest is on the page."""


def write_columns(model: Any, out: Path) -> Path:
    """Write the page of the feature path into the model's folder."""
    page = out / "path.html"
    try:
        with writing(page):
            model.feature_report(page)
    except InputError as error:
        raise InputError(f"the model is saved in {out}, the page of its path is not: {error}") from error
    return page


def columns_summary(model: Any, page: Path) -> dict[str, Any]:
    """What --json says of the columns."""
    return {
        "path": str(page),
        "chosen": model.get_feature_names_out().tolist(),
        "leaves": model.feature_strengths_,
        "strengths": model.feature_path_.to_dict("records"),
    }


def tell_columns(model: Any, page: Path, printer: Console) -> None:
    """What was found, the columns in the order in which they leave, and where the page is."""
    printer.print(columns_table(model.feature_strengths_, set(model.get_feature_names_out())))
    printer.print(path_finding(model.feature_results()), style="bold", soft_wrap=True)
    printer.print(f"path:   {page}", soft_wrap=True)


def columns_table(leaves: dict[str, float], chosen: set[str]) -> Table:
    """The columns, those that stay longest first."""
    table = Table(title="columns that stay longest", title_justify="left")
    table.add_column("column", overflow="fold")
    table.add_column("leaves at", justify="right", no_wrap=True)
    table.add_column("chosen", no_wrap=True)
    order = sorted(leaves, key=lambda name: (-leaves[name], name not in chosen))
    shown = [name for i, name in enumerate(order) if i < SHOWN or name in chosen]
    for name in shown:
        left = f"{leaves[name]:.2g}" if math.isfinite(leaves[name]) else "never"
        table.add_row(Text(name), left, "yes" if name in chosen else "", style="bold" if name in chosen else "")
    if len(order) > len(shown):
        table.caption = f"and {len(order) - len(shown)} more on the page"
        table.caption_justify = "left"
    return table
