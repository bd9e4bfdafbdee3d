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

PATH = """
import signal
from thinnet import tabular
from thinnet.cli import _progress, main
from thinnet.tabular.features import _path as _feature_path

_feature_path.POINTS = {points}
signal.signal(signal.SIGINT, signal.default_int_handler)
tabular.ThinNetClassifier.__init__.__kwdefaults__ |= {{"n_configurations": 4, "max_steps": 1_000_000}}
_progress.EVERY = 0.5
main()
"""
MATTER = ["age", "income"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two of six columns matter, in people.csv."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=200) for name in ("noise", "age", "tenure", "clicks")})
    frame["income"] = rng.choice(["low", "middle", "high"], 200)
    frame["city"] = rng.choice(["Rome", "Oslo"], 200)
    spend = 2 * frame["age"] + 3 * (frame["income"] == "high") - 1 + 0.3 * rng.normal(size=200)
    path = tmp_path / "people.csv"
    frame.assign(spend=spend, Churn=np.where(spend > 0, "yes", "no")).to_csv(path, index=False)
    return path


@pytest.fixture
def without_spend(table: Path) -> Path:
    pd.read_csv(table).drop(columns="spend").to_csv(table, index=False)
    return table


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is a fault: what is refused must be refused before it."""

    def fit(*_: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(tabular.ThinNetClassifier, "fit", fit)
    monkeypatch.setattr(tabular.ThinNetRegressor, "fit", fit)


@pytest.mark.slow
def test_the_columns_a_model_its_pages_and_the_next_command(thinnet, without_spend: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "first"
    ended = thinnet("path", without_spend, "--target", "Churn", "--out", out, "--test", without_spend)
    assert (ended.status, ended.err) == (0, "")
    assert "choosing features: 6 networks" in ended.out
    assert "2 of 6 columns are enough: " in ended.out
    rows = [line.split("│")[1:4] for line in ended.out.split("pruned at")[1].splitlines() if line.startswith("│")]
    assert {name.strip() for name, _, chosen in rows if chosen.strip() == "yes"} == set(MATTER)
    strengths = [float(left) if left.strip() != "never" else np.inf for _, left, _ in rows]
    assert strengths == sorted(strengths, reverse=True) and len(rows) == 6
    assert "on the test rows: log loss " in ended.out
    assert f"path:   {out / 'path.html'}\n" in ended.out
    assert f"next: thinnet predict {out} NEW_TABLE --out predictions.csv\n" in ended.out
    assert "2 of 6 columns are enough: " in (out / "path.html").read_text(encoding="utf-8")
    assert (out / "report.html").exists()
    model = tabular.load(out)
    assert model.get_feature_names_out().tolist() == MATTER
    frame = pd.read_csv(without_spend)
    assert model.predict(frame[MATTER]).tolist() == model.predict(frame).tolist()


@pytest.mark.slow
def test_json_alone_on_stdout(thinnet, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    ended = thinnet("path", table, "--target", "spend", "--out", out, "--json", "--seed", "3")
    assert ended.status == 0
    results = json.loads(ended.out)
    assert "choosing features" in ended.err and "next: thinnet predict" in ended.err
    model = tabular.load(out)
    assert (results["model"], results["path"], results["stopped"]) == (str(out), str(out / "path.html"), False)
    assert (results["task"], results["metric"]) == ("regression", "RMSE")
    assert results["chosen"] == model.get_feature_names_out().tolist()
    assert [row["strength"] for row in results["strengths"]] == model.feature_path_["strength"].tolist()
    assert results["leaves"].keys() == model.feature_strengths_.keys()


@pytest.mark.slow
def test_fit_says_nothing_of_columns(thinnet, table: Path, tmp_path: Path) -> None:
    ended = thinnet("fit", table, "--target", "Churn", "--out", tmp_path / "m", "--json")
    assert "path" not in json.loads(ended.out)
    assert "choosing features" not in ended.err
    assert not (tmp_path / "m" / "path.html").exists()


@pytest.mark.usefixtures("no_training")
def test_what_fit_refuses_is_refused_before_training(thinnet, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    line = thinnet("path", table, "--target", "churn", "--out", out).refused()
    assert line == f"{table} has no column 'churn'. Did you mean 'Churn'?"
    assert "is a file, not a folder" in thinnet("path", table, "--target", "Churn", "--out", table).refused()
    assert "does not exist" in thinnet("path", table, "--target", "Churn", "--out", out, "--resume").refused()
    pd.read_csv(table).drop(columns="age").to_csv(tmp_path / "test.csv", index=False)
    words = ("path", table, "--target", "Churn", "--out", out, "--test", tmp_path / "test.csv")
    assert "has no column 'age'" in thinnet(*words).refused()
    assert "Missing option '--out'" in thinnet("path", table, "--target", "Churn").refused()


def test_fewer_rows_than_folds_are_refused(thinnet, table: Path, tmp_path: Path) -> None:
    pd.read_csv(table)[:4].to_csv(tmp_path / "t.csv", index=False)
    words = ("path", tmp_path / "t.csv", "--target", "spend", "--out", tmp_path / "m", "--task", "regression")
    ended = thinnet(*words)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "4 rows with a target (n_samples=4) are fewer than the cv=5 folds" in ended.err
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_a_page_that_finds_no_room_does_not_lose_the_model(
    thinnet, without_spend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tabular.ThinNetClassifier, "feature_report", full)
    ended = thinnet("path", without_spend, "--target", "Churn", "--out", tmp_path / "m")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert f"the model is saved in {tmp_path / 'm'}, the page of its path is not: no space left" in ended.err
    assert tabular.load(tmp_path / "m").get_feature_names_out().tolist() == MATTER


def stopped_at(phase: str, table: Path, out: Path, points: int) -> tuple[list[str], int, str]:
    """The command, its exit status and stderr, with Ctrl-C at the first line of a phase that has a best score."""
    words = [
        sys.executable,
        "-c",
        PATH.format(points=points),
        "path",
        str(table),
        "--target",
        "Churn",
        "--out",
        str(out),
    ]
    words += ["--time-limit", "10"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(phase in line and "best" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    return words, process.returncode, err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another Ctrl-C")
def test_ctrl_c_while_columns_are_chosen_writes_nothing(without_spend: Path, tmp_path: Path) -> None:
    _, status, err = stopped_at("choosing features", without_spend, tmp_path / "m", 1000)
    assert (status, err) == (130, "thinnet: stopped before any network was ready; nothing was written.\n")
    assert [p.name for p in tmp_path.iterdir()] == [without_spend.name]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another Ctrl-C")
def test_ctrl_c_while_networks_train_keeps_the_choice_and_goes_on(without_spend: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    words, status, err = stopped_at("training", without_spend, out, 8)
    stopped = f"stopped early; the best model so far is saved in {out}; the same command with --resume continues."
    assert (status, err) == (130, f"thinnet: {stopped}\n")
    first = tabular.load(out)
    assert (out / "path.html").exists()
    done = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "choosing features" not in done.stdout
    pd.testing.assert_frame_equal(tabular.load(out).feature_path_, first.feature_path_)
    assert not (tmp_path / "m.checkpoint").exists()
