import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thinnet import tabular

FIT = """
import signal
from thinnet import tabular
from thinnet.cli import _progress, main

signal.signal(signal.SIGINT, signal.default_int_handler)
tabular.ThinNetClassifier.__init__.__kwdefaults__ |= {"n_configurations": 4, "max_steps": 1_000_000}
_progress.EVERY = 0.5
main()
"""


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is a fault: what is refused must be refused before it."""

    def fit(*_: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(tabular.ThinNetClassifier, "fit", fit)
    monkeypatch.setattr(tabular.ThinNetRegressor, "fit", fit)


@pytest.mark.parametrize("target", ["Churn", "spend"])
def test_a_model_its_report_and_the_next_command(thinnet, table: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / "models" / "first"
    ended = thinnet("fit", table, "--target", target, "--out", out, "--test", table)
    assert (ended.status, ended.err) == (0, "")
    task, metric = {"Churn": ("classification", "log loss"), "spend": ("regression", "RMSE")}[target]
    assert f"80 rows, 5 columns; {task} of '{target}'" in ended.out
    assert f"the ensemble's held-out {metric}: 0." in ended.out.replace(": 1.", ": 0.")
    assert f"on the test rows: {metric} " in ended.out
    assert f"next: thinnet predict {out} NEW_TABLE --out predictions.csv\n" in ended.out
    assert "no regularization" in ended.out
    assert "held-out" in (out / "report.html").read_text(encoding="utf-8")
    assert tabular.load(out).metric_ == metric


def test_json_alone_on_stdout(thinnet, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    ended = thinnet("fit", table, "--target", "Churn", "--out", out, "--test", table, "--json")
    assert ended.status == 0
    results = json.loads(ended.out)
    assert "training" in ended.err and "next: thinnet predict" in ended.err
    assert (results["model"], results["report"], results["stopped"]) == (str(out), str(out / "report.html"), False)
    assert results["held_out"] == pytest.approx(tabular.load(out).held_out_score_)
    model = tabular.load(out)
    frame = pd.read_csv(table)
    sure = model.predict_proba(frame.drop(columns="Churn"))[np.arange(80), (frame["Churn"] == "yes").astype(int)]
    assert results["test"]["log loss"] == pytest.approx(-np.log(sure).mean())
    assert [row["rank"] for row in results["leaderboard"]] == list(range(1, len(results["leaderboard"]) + 1))


@pytest.mark.slow
def test_a_model_of_ours_is_replaced_and_other_files_beside_it_stay(thinnet, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    for target in ("Churn", "city"):
        assert thinnet("fit", table, "--target", target, "--out", out).status == 0
        (out / "notes.txt").write_text("mine")
    assert list(tabular.load(out).classes_) == ["Oslo", "Rome"]
    assert (out / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", table.name]


@pytest.mark.parametrize("flags", [[], ["--polish"], ["--refit"], ["--refit", "--polish"]])
@pytest.mark.parametrize("command", ["fit", "path"])
def test_polish_and_refit_reach_the_estimator(
    thinnet, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, flags: list[str]
) -> None:
    asked = []

    def fit(model: tabular.ThinNetClassifier, *_: object) -> None:
        asked.append((model.polish, model.refit, model.select_features))
        raise KeyboardInterrupt

    monkeypatch.setattr(tabular.ThinNetClassifier, "fit", fit)
    assert thinnet(command, table, "--target", "Churn", "--out", tmp_path / "m", *flags).status == 130
    assert asked == [("--polish" in flags, "--refit" in flags, command == "path")]


@pytest.mark.slow
def test_a_refit_is_told_of(thinnet, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(tabular.ThinNetClassifier.__init__.__kwdefaults__, "n_configurations", 5)
        ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m", "--polish", "--refit")
    assert (ended.status, ended.err) == (0, "")
    assert "polishing: " in ended.out and "refitting: " in ended.out
    names = tabular.load(tmp_path / "m").leaderboard_["regularizers"]
    assert sum(name.endswith(" + polish + refit") for name in names) >= 1
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m", "--refit")
    assert "note: no configuration has zeros: there was none to refit\n" in ended.out


@pytest.mark.usefixtures("no_training")
def test_a_target_that_is_no_column_names_the_near_misses(thinnet, table: Path, tmp_path: Path) -> None:
    line = thinnet("fit", table, "--target", "churn", "--out", tmp_path / "m").refused()
    assert line == f"{table} has no column 'churn'. Did you mean 'Churn'?"


@pytest.mark.usefixtures("no_training")
def test_an_out_that_is_not_ours_is_refused_before_training(thinnet, table: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    line = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "photos").refused()
    assert "exists, is not empty and holds no thinnet model. Choose another folder" in line
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
    assert "is a file, not a folder" in thinnet("fit", table, "--target", "Churn", "--out", table).refused()


@pytest.mark.usefixtures("no_training")
def test_a_table_of_the_target_alone_is_refused(thinnet, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("y\n1\n2\n")
    line = thinnet("fit", tmp_path / "t.csv", "--target", "y", "--out", tmp_path / "m").refused()
    assert "has no column beside 'y'" in line


@pytest.mark.usefixtures("no_training")
def test_a_missing_and_an_ambiguous_table_are_refused(thinnet, table: Path, tmp_path: Path) -> None:
    line = thinnet("fit", tmp_path / "peoples.csv", "--target", "Churn", "--out", tmp_path / "m").refused()
    assert line.endswith("Did you mean 'people.csv'?")
    (tmp_path / "twice.csv").write_text("a,a,y\n1,2,3\n")
    line = thinnet("fit", tmp_path / "twice.csv", "--target", "y", "--out", tmp_path / "m").refused()
    assert "has the column 'a' more than once: rename or remove the other" in line


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop(columns="Churn"), "has no column 'Churn'"),
        (lambda frame: frame.drop(columns="income"), "has no column 'income'"),
        (lambda frame: frame.drop(columns=["income", "age"]), "lacks the columns 'age' and 'income'"),
        (lambda frame: frame.assign(Churn="maybe"), "'Churn' holds 'maybe', which the training table never has"),
    ],
)
def test_a_test_table_of_another_kind_is_refused_before_training(
    thinnet, frame: pd.DataFrame, table: Path, tmp_path: Path, change, says: str
) -> None:
    change(frame).to_csv(tmp_path / "test.csv", index=False)
    words = ("fit", table, "--target", "Churn", "--out", tmp_path / "m", "--test", tmp_path / "test.csv")
    assert says in thinnet(*words).refused()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.assign(Churn="yes"), "the target has only one class"),
        (lambda frame: frame[:4], "4 rows with a target"),
        (lambda frame: frame.assign(age=np.inf), "infini"),
        (lambda frame: frame.assign(Churn=None), "no row has a target"),
    ],
)
def test_a_table_that_nothing_can_learn_from_is_refused(
    thinnet, frame: pd.DataFrame, tmp_path: Path, change, says: str
) -> None:
    change(frame).to_csv(tmp_path / "t.csv", index=False)
    words = ("fit", tmp_path / "t.csv", "--target", "Churn", "--out", tmp_path / "m", "--task", "classification")
    line = thinnet(*words, "--json").err.splitlines()[-1]
    assert says in line and line.startswith("thinnet: ")
    assert thinnet(*words, "--json").status == 2
    assert not (tmp_path / "m").exists()


def test_regression_of_words_is_refused(thinnet, table: Path, tmp_path: Path) -> None:
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m", "--task", "regression")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "the target of a regressor must be numbers" in ended.err


def test_a_full_disk_leaves_nothing_half_written(
    thinnet, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "could not be written: the disk is full" in ended.err
    assert [p.name for p in tmp_path.iterdir()] == [table.name]


@pytest.mark.slow
def test_a_report_that_finds_no_room_does_not_lose_the_model(
    thinnet, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tabular.ThinNetClassifier, "report", full)
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert f"the model is saved in {tmp_path / 'm'}, its report is not: no space left" in ended.err
    assert len(tabular.load(tmp_path / "m").classes_) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another Ctrl-C")
def test_ctrl_c_keeps_the_best_so_far(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    words = [sys.executable, "-c", FIT, "fit", table, "--target", "Churn", "--out", out, "--time-limit", "8"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = next(line for line in process.stdout if "training" in line and "best" in line)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert "left" in seen
    stopped = f"stopped early; the best model so far is saved in {out}; the same command with --resume continues."
    assert (process.returncode, err) == (130, f"thinnet: {stopped}\n")
    assert "no regularization" in rest and "next:" not in rest
    assert (out / "report.html").stat().st_size > 1_000_000
    assert tabular.load(out).predict_proba(pd.read_csv(table).drop(columns="Churn")).shape == (80, 2)
    checkpoint = tmp_path / "m.checkpoint"
    assert checkpoint.exists()
    done = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not checkpoint.exists()


def test_resume_without_an_unfinished_training(thinnet, table: Path, tmp_path: Path) -> None:
    refused = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m", "--resume").refused()
    assert refused == (
        f"there is nothing to resume: {tmp_path / 'm.checkpoint'} does not exist. Run without --resume to train anew."
    )


@pytest.mark.slow
def test_an_unfinished_training_is_replaced_and_said_so(thinnet, table: Path, tmp_path: Path) -> None:
    (tmp_path / "m.checkpoint").write_text("left over")
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m")
    assert ended.status == 0, ended.err
    assert "m.checkpoint is discarded (--resume would continue it)" in ended.out
    assert not (tmp_path / "m.checkpoint").exists()


def test_ctrl_c_before_any_network_is_ready(
    thinnet, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tabular.ThinNetClassifier, "fit", fit)
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m")
    assert ended.status == 130
    assert ended.err == "thinnet: stopped before any network was ready; nothing was written.\n"
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_ctrl_c_while_the_model_is_saved_leaves_nothing_half_written(
    thinnet, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m")
    assert (ended.status, ended.err) == (130, "thinnet: stopped; nothing is half-written.\n")
    assert [p.name for p in tmp_path.iterdir()] == [table.name]
