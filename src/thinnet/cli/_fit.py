"""thinnet fit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from thinnet._suggest import listed
from thinnet.cli._errors import InputError, from_user
from thinnet.cli._read import column, read_table
from thinnet.cli._score import check_test

if TYPE_CHECKING:
    from thinnet.tabular import Task


def fit_table(
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
    settings: Mapping[str, Any],
) -> None:
    """Train on a table and save the model; everything that can be refused is refused before training.

    `settings` are further parameters of the estimator.
    """
    x, y = split(table, target)

    # after the first look at the table, as it brings torch
    from thinnet.cli._train import Job, check_out, console, train
    from thinnet.tabular import infer_task

    with from_user():
        chosen: Task = infer_task(y) if task == "auto" else task
    tested = None
    if test is not None:
        tested = split(test, target)
        check_columns(tested[0], list(x.columns), test)
        check_test(chosen, tested[1], y, str(test))

    check_out(out)
    printer = console(json)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    if resume and not checkpoint.exists():
        raise InputError(f"there is nothing to resume: {checkpoint} does not exist. Leave --resume out to start anew.")
    if not resume and checkpoint.exists():
        printer.print(
            f"an unfinished training, {checkpoint}, is replaced (--resume would go on with it)", soft_wrap=True
        )
        checkpoint.unlink()
    classes = f", {y.nunique()} classes" if chosen == "classification" else ""
    override = "" if task != "auto" else " (--task can say otherwise)"
    printer.print(f"{len(x):,} rows, {x.shape[1]} columns; {chosen} of {target!r}{classes}{override}", soft_wrap=True)
    job = Job(x, y, chosen, out, time_limit, seed, tested, json, settings, checkpoint)
    train(job, printer)
    printer.print(f"next: thinnet predict {shlex.quote(str(out))} NEW_TABLE --out predictions.csv", soft_wrap=True)


def split(table: Path, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """A table's columns and its target."""
    frame = read_table(table)
    y = column(frame, target, table)
    x = frame.drop(columns=target)
    if x.shape[1] == 0:
        raise InputError(f"{table} has no column beside {target!r}: there is nothing to predict it from.")
    return x, y


def check_columns(frame: pd.DataFrame, names: list[str], table: Path) -> None:
    """Refuse a table that lacks some of the columns."""
    missing = [str(name) for name in names if name not in frame.columns]
    if len(missing) > 1:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise InputError(f"{table} lacks the columns {listed(missing[:5], 'and')}{more} that the model was trained on.")
    for name in missing:
        column(frame, name, table)
