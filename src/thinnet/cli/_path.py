"""thinnet path."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from thinnet.cli._fit import fit_table


def path_table(
    table: Path,
    target: str,
    out: Path,
    *,
    time_limit: float,
    task: Literal["auto", "classification", "regression"],
    test: Path | None,
    seed: int,
    resume: bool,
    json: bool,
) -> None:
    """Choose columns of a table, train on those alone, and save the model with the page of the path."""
    fit_table(
        table,
        target,
        out,
        time_limit=time_limit,
        task=task,
        test=test,
        seed=seed,
        resume=resume,
        json=json,
        settings={"select_features": True},
    )
