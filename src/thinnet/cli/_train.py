"""Fit, save, report and say so: what fit and demo share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from thinnet import tabular
from thinnet.cli._closing import closing_table, to_json
from thinnet.cli._columns import columns_summary, tell_columns, write_columns
from thinnet.cli._errors import InputError, Stopped, from_user, writing
from thinnet.cli._progress import shown
from thinnet.cli._score import class_scores, number_scores
from thinnet.cli._write import check_place, to_stdout
from thinnet.report import finding, number

if TYPE_CHECKING:
    from thinnet.tabular import Task

WIDE = 120
"""Columns of text where no terminal says how many it has."""
NOTES = 5
"""Notes on the screen; all are in the report."""


@dataclass(frozen=True)
class Job:
    """What to train on, and where the model goes.

    Args:
        x: the training columns.
        y: the target, named.
        task: what to predict.
        out: the model's folder.
        time_limit: seconds.
        seed: makes it repeatable.
        test: columns and target to score at the end, if any.
        json: whether stdout is for JSON alone.
        settings: further parameters of the estimator.
        checkpoint: the file that keeps the unfinished training, if any.
    """

    x: pd.DataFrame
    y: pd.Series
    task: Task
    out: Path
    time_limit: float
    seed: int
    test: tuple[pd.DataFrame, pd.Series] | None
    json: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None


def console(json: bool) -> Console:
    """Where text for people goes."""
    printer = Console(stderr=json, markup=False, highlight=False)
    return printer if printer.is_terminal else Console(stderr=json, markup=False, highlight=False, width=WIDE)


def check_out(out: Path) -> None:
    """Refuse, before training, a folder that is not ours or cannot be written."""
    with from_user():
        tabular.check_destination(out)
    check_place(out)


def train(job: Job, printer: Console) -> None:
    """Fit, save, write the report and print the closing table.

    Args:
        job: what to train.
        printer: where text for people goes.

    Raises:
        Stopped: after Ctrl-C, with what was saved.
    """
    kind = tabular.ThinNetClassifier if job.task == "classification" else tabular.ThinNetRegressor
    stopped = False
    with shown(printer) as callback:
        model = kind(
            time_limit=job.time_limit,
            random_state=job.seed,
            callback=callback,
            checkpoint=job.checkpoint,
            **job.settings,
        )
        try:
            with from_user():
                model.fit(job.x, job.y)
        except KeyboardInterrupt as error:
            if not hasattr(model, "notes_"):
                raise Stopped(
                    f"stopped before any network was ready; {resume(job) or 'nothing was written'}."
                ) from error
            stopped = True
    report = save(model, job.out)
    page = write_columns(model, job.out) if model.select_features else None
    scores = test_scores(model, job)
    if job.json:
        columns = {} if page is None else columns_summary(model, page)
        to_stdout(to_json(summary(model, job, report, scores, stopped) | columns) + "\n")
    tell(model, job, report, scores, printer)
    if page is not None:
        tell_columns(model, page, printer)
    if stopped:
        then = "; ".join(filter(None, [f"the best model so far is saved in {job.out}", resume(job)]))
        raise Stopped(f"stopped early; {then}.")


def resume(job: Job) -> str:
    """How to go on with a training that was stopped, "" where nothing is kept of it."""
    return "the same command with --resume goes on" if job.checkpoint and job.checkpoint.exists() else ""


def save(model: Any, out: Path) -> Path:
    """Save the model and write its report into the same folder."""
    with from_user(), writing(out):
        model.save(out)
    report = out / "report.html"
    try:
        with writing(report):
            model.report(report)
    except InputError as error:
        raise InputError(f"the model is saved in {out}, its report is not: {error}") from error
    return report


def test_scores(model: Any, job: Job) -> dict[str, float] | None:
    """Scores on the test table, rows without a target left out."""
    if job.test is None:
        return None
    x, y = job.test
    known = y.notna()
    with from_user():
        if job.task == "classification":
            return class_scores(model.predict_proba(x[known]), model.classes_, y[known])
        return number_scores(model.predict(x[known]), y[known])


def summary(model: Any, job: Job, report: Path, scores: dict[str, float] | None, stopped: bool) -> dict[str, Any]:
    """What --json prints."""
    return {
        "model": str(job.out),
        "report": str(report),
        "task": job.task,
        "target": str(job.y.name),
        "metric": model.metric_,
        "held_out": model.held_out_score_,
        "test": scores,
        "stopped": stopped,
        "notes": list(model.notes_),
        "leaderboard": model.leaderboard_.to_dict("records"),
    }


def tell(model: Any, job: Job, report: Path, scores: dict[str, float] | None, printer: Console) -> None:
    """The closing table, the ensemble's scores and where everything is."""
    printer.print(closing_table(model.leaderboard_, model.metric_))
    printer.print(finding(model.leaderboard_, model.metric_), soft_wrap=True)
    for note in model.notes_[:NOTES]:
        printer.print(f"note: {note}", soft_wrap=True)
    if len(model.notes_) > NOTES:
        printer.print(f"and {len(model.notes_) - NOTES} more notes in the report")
    printer.print(f"the ensemble's held-out {model.metric_}: {number(model.held_out_score_)}", style="bold")
    if scores is None:
        caveat = "those rows chose the ensemble, so it is a little optimistic; --test TABLE gives an unbiased score"
        printer.print(caveat, soft_wrap=True)
    else:
        told = ", ".join(f"{name} {number(value)}" for name, value in scores.items())
        printer.print(f"on the test rows: {told}", style="bold")
    printer.print(f"model:  {job.out}", soft_wrap=True)
    printer.print(f"report: {report}", soft_wrap=True)
