import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from thinnet.cli import _train
from thinnet.cli._errors import InputError
from thinnet.cli._train import Job, console, print_results, resume, save, summary


@pytest.fixture
def job(tmp_path: Path) -> Job:
    x, y = pd.DataFrame({"a": [1.0, 2.0, 3.0]}), pd.Series([1.0, 2.0, 4.0], name="y")
    return Job(x, y, "regression", tmp_path / "m", {}, checkpoint=tmp_path / "m.checkpoint")


@pytest.fixture
def model() -> SimpleNamespace:
    columns = ["rank", "regularizers", "train", "held_out", "gap", "zeros", "weight", "epochs"]
    board = pd.DataFrame([[1, "L2 0.1", 0.1, 0.2, 0.1, 0.0, 1.0, 9]], columns=columns)
    notes = [f"note {i}" for i in range(_train.NOTES + 2)]
    return SimpleNamespace(metric_="RMSE", held_out_score_=0.2, notes_=notes, leaderboard_=board)


def printed(model: SimpleNamespace, job: Job, scores: dict[str, float] | None) -> str:
    printer = Console(file=io.StringIO(), width=120, markup=False)
    print_results(model, job, job.out / "report.html", scores, printer)
    return printer.file.getvalue()


def test_text_goes_to_stderr_where_stdout_is_json() -> None:
    assert (console(json=True).stderr, console(json=False).stderr) == (True, False)
    assert console(json=True).width == _train.WIDE


def test_a_training_can_be_resumed_where_its_checkpoint_is(job: Job) -> None:
    assert resume(job) == ""
    assert job.checkpoint is not None
    job.checkpoint.touch()
    assert resume(job) == "the same command with --resume continues"
    assert resume(replace(job, checkpoint=None)) == ""


def test_test_rows_without_a_target_do_not_count(job: Job) -> None:
    x, y = pd.DataFrame({"a": [1.0, 2.0, 3.0]}), pd.Series([1.0, np.nan, 5.0], name="y")
    twice = SimpleNamespace(predict=lambda x: x["a"].to_numpy())
    assert _train.test_scores(twice, job) is None
    scores = _train.test_scores(twice, replace(job, test=(x, y)))
    assert scores is not None
    assert scores["RMSE"] == pytest.approx(np.sqrt((0 + 4) / 2))


def test_a_report_that_cannot_be_written_does_not_hide_the_model(job: Job) -> None:
    def report(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(InputError, match=r"the model is saved in .*m, its report is not: cannot write .*report\.html"):
        save(SimpleNamespace(save=lambda out: out.mkdir(), report=report), job.out)
    assert job.out.is_dir()


def test_notes_are_few_on_the_screen_and_whole_in_json(model: SimpleNamespace, job: Job) -> None:
    text = printed(model, job, None)
    assert text.count("note: ") == _train.NOTES
    assert "and 2 more notes in the report" in text
    found = summary(model, job, job.out / "report.html", None, stopped=True)
    assert (found["notes"], found["stopped"], found["target"], found["test"]) == (model.notes_, True, "y", None)


def test_only_a_score_without_test_rows_is_called_optimistic(model: SimpleNamespace, job: Job) -> None:
    assert "slightly optimistic: the ensemble was selected on those rows" in printed(model, job, None)
    text = printed(model, job, {"RMSE": 0.5, "R2": 0.25})
    assert "on the test rows: RMSE 0.500, R2 0.250" in text
    assert "optimistic" not in text
