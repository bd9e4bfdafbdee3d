"""The columns that a model selected, as a table on the screen, as JSON and as a page."""

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
"""Columns in the table; the selected ones are always among them, all are on the page."""


def write_feature_report(model: Any, out: Path) -> Path:
    """Write the page of the feature path into the model's folder."""
    page = out / "path.html"
    try:
        with writing(page):
            model.feature_report(page)
    except InputError as error:
        raise InputError(f"the model is saved in {out}, the page of its path is not: {error}") from error
    return page


def features_summary(model: Any, page: Path) -> dict[str, Any]:
    """The selected columns and the path they were selected on, for --json."""
    return {
        "path": str(page),
        "chosen": model.get_feature_names_out().tolist(),
        "leaves": model.feature_strengths_,
        "strengths": model.feature_path_.to_dict("records"),
    }


def print_features(model: Any, page: Path, printer: Console) -> None:
    """Print the columns by the strength at which each is pruned, the finding, and where the page is."""
    printer.print(feature_table(model.feature_strengths_, set(model.get_feature_names_out())))
    printer.print(path_finding(model.feature_results()), style="bold", soft_wrap=True)
    printer.print(f"path:   {page}", soft_wrap=True)


def feature_table(strengths: dict[str, float], chosen: set[str]) -> Table:
    """The columns by the strength at which each is pruned, the highest first."""
    table = Table(title="columns by the strength that prunes them", title_justify="left")
    table.add_column("column", overflow="fold")
    table.add_column("pruned at", justify="right", no_wrap=True)
    table.add_column("selected", no_wrap=True)
    order = sorted(strengths, key=lambda name: (-strengths[name], name not in chosen))
    shown = [name for i, name in enumerate(order) if i < SHOWN or name in chosen]
    for name in shown:
        left = f"{strengths[name]:.2g}" if math.isfinite(strengths[name]) else "never"
        table.add_row(Text(name), left, "yes" if name in chosen else "", style="bold" if name in chosen else "")
    if len(order) > len(shown):
        table.caption = f"and {len(order) - len(shown)} more on the page"
        table.caption_justify = "left"
    return table
