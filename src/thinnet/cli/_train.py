"""Train an estimator, save it, write its report and print the results: shared by fit, path and demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from thinnet import tabular
from thinnet.cli._errors import InputError, Stopped, writing
from thinnet.cli._feature_table import features_summary, print_features, write_feature_report
from thinnet.cli._json import to_json
from thinnet.cli._leaderboard_table import leaderboard_table
from thinnet.cli._progress import shown
from thinnet.cli._score import class_scores, number_scores
from thinnet.cli._write import check_place, to_stdout
from thinnet.report import finding, number

if TYPE_CHECKING:
    from thinnet.tabular import Task

WIDE = 120
"""Width of the output in characters where there is no terminal."""
NOTES = 5
"""Most notes on the screen; all are in the report."""


@dataclass(frozen=True)
class Job:
    """A training: its data, the parameters of its estimator and the folder of its model.

    Args:
        x: the training columns.
        y: the target, named.
        task: what to predict.
        out: the model's folder.
        settings: parameters of the estimator.
        test: columns and target to score at the end, if any.
        json: whether stdout is for JSON alone.
        checkpoint: the file that keeps the unfinished training, if any.
    """

    x: pd.DataFrame
    y: pd.Series
    task: Task
    out: Path
    settings: Mapping[str, Any]
    test: tuple[pd.DataFrame, pd.Series] | None = None
    json: bool = False
    checkpoint: Path | None = None


def console(json: bool) -> Console:
    """The console for text for people: stderr if stdout is for JSON."""
    printer = Console(stderr=json, markup=False, highlight=False)
    return printer if printer.is_terminal else Console(stderr=json, markup=False, highlight=False, width=WIDE)


def check_out(out: Path) -> None:
    """Refuse, before training, a folder that is not ours or cannot be written."""
    tabular.check_destination(out)
    check_place(out)


def train(job: Job, printer: Console) -> None:
    """Fit, save, write the report and print the results.

    Args:
        job: what to train.
        printer: where text for people goes.

    Raises:
        Stopped: after Ctrl-C, with what was saved.
    """
    kind = tabular.ThinNetClassifier if job.task == "classification" else tabular.ThinNetRegressor
    stopped = False
    with shown(printer) as callback:
        model = kind(callback=callback, checkpoint=job.checkpoint, **job.settings)
        try:
            model.fit(job.x, job.y)
        except KeyboardInterrupt as error:
            if not hasattr(model, "notes_"):
                raise Stopped(
                    f"stopped before any network was ready; {resume(job) or 'nothing was written'}."
                ) from error
            stopped = True
    report = save(model, job.out)
    page = write_feature_report(model, job.out) if model.select_features else None
    scores = test_scores(model, job)
    if job.json:
        features = {} if page is None else features_summary(model, page)
        to_stdout(to_json(summary(model, job, report, scores, stopped) | features) + "\n")
    print_results(model, job, report, scores, printer)
    if page is not None:
        print_features(model, page, printer)
    if stopped:
        then = "; ".join(filter(None, [f"the best model so far is saved in {job.out}", resume(job)]))
        raise Stopped(f"stopped early; {then}.")


def resume(job: Job) -> str:
    """How to continue a training that was stopped; "" where there is no checkpoint."""
    return "the same command with --resume continues" if job.checkpoint and job.checkpoint.exists() else ""


def save(model: Any, out: Path) -> Path:
    """Save the model and write its report into the same folder."""
    with writing(out):
        model.save(out)
    report = out / "report.html"
    try:
        with writing(report):
            model.report(report)
    except InputError as error:
        raise InputError(f"the model is saved in {out}, its report is not: {error}") from error
    return report


def test_scores(model: Any, job: Job) -> dict[str, float] | None:
    """Scores on the rows of the test table that have a target; None without a test table."""
    if job.test is None:
        return None
    x, y = job.test
    known = y.notna()
    if job.task == "classification":
        return class_scores(model.predict_proba(x[known]), model.classes_, y[known])
    return number_scores(model.predict(x[known]), y[known])


def summary(model: Any, job: Job, report: Path, scores: dict[str, float] | None, stopped: bool) -> dict[str, Any]:
    """The results for --json."""
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


def print_results(model: Any, job: Job, report: Path, scores: dict[str, float] | None, printer: Console) -> None:
    """Print the table of networks, the finding, notes, scores, and where model and report are."""
    printer.print(leaderboard_table(model.leaderboard_, model.metric_))
    printer.print(finding(model.leaderboard_, model.metric_), soft_wrap=True)
    for note in model.notes_[:NOTES]:
        printer.print(f"note: {note}", soft_wrap=True)
    if len(model.notes_) > NOTES:
        printer.print(f"and {len(model.notes_) - NOTES} more notes in the report")
    printer.print(f"the ensemble's held-out {model.metric_}: {number(model.held_out_score_)}", style="bold")
    if scores is None:
        caveat = "slightly optimistic: the ensemble was selected on those rows; --test TABLE gives an unbiased score"
        printer.print(caveat, soft_wrap=True)
    else:
        told = ", ".join(f"{name} {number(value)}" for name, value in scores.items())
        printer.print(f"on the test rows: {told}", style="bold")
    printer.print(f"model:  {job.out}", soft_wrap=True)
    printer.print(f"report: {report}", soft_wrap=True)
