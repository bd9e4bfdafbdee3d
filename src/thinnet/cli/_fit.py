"""`thinnet fit` and `thinnet path`: train on a table from a file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from thinnet.cli._column_names import check_columns, column
from thinnet.cli._errors import InputError
from thinnet.cli._read import read_table

if TYPE_CHECKING:
    import pandas as pd

    from thinnet.tabular import Task


def fit_table(
    table: Path,
    target: str,
    out: Path,
    *,
    task: Literal["auto", "classification", "regression"],
    test: Path | None,
    resume: bool,
    json: bool,
    settings: Mapping[str, Any],
) -> None:
    """Train on a table and save the model, after every check of the inputs.

    Args:
        table: the file of the training table.
        target: the name of the column to predict.
        out: the model's folder.
        task: what to predict; "auto" decides by the target's values.
        test: the file of a table to score at the end, if any.
        resume: continue the training whose checkpoint lies beside `out`.
        json: whether stdout is for JSON alone.
        settings: parameters of the estimator.
    """
    x, y = split(table, target)

    # after the table is read: this imports torch
    from thinnet.cli._score import check_test
    from thinnet.cli._train import Job, check_out, console, train
    from thinnet.tabular import infer_task

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
        raise InputError(
            f"there is nothing to resume: {checkpoint} does not exist. Run without --resume to train anew."
        )
    if not resume and checkpoint.exists():
        printer.print(
            f"the unfinished training in {checkpoint} is discarded (--resume would continue it)", soft_wrap=True
        )
        checkpoint.unlink()
    classes = f", {y.nunique()} classes" if chosen == "classification" else ""
    override = "" if task != "auto" else " (--task can say otherwise)"
    printer.print(f"{len(x):,} rows, {x.shape[1]} columns; {chosen} of {target!r}{classes}{override}", soft_wrap=True)
    job = Job(x, y, chosen, out, settings, test=tested, json=json, checkpoint=checkpoint)
    train(job, printer)
    printer.print(f"next: thinnet predict {shlex.quote(str(out))} NEW_TABLE --out predictions.csv", soft_wrap=True)


def split(table: Path, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """The columns of a table file without the target, and the target."""
    frame = read_table(table)
    y = column(frame, target, table)
    x = frame.drop(columns=target)
    if x.shape[1] == 0:
        raise InputError(f"{table} has no column beside {target!r}: there is nothing to predict it from.")
    return x, y
