"""thinnet demo: an overfitting network and regularized ones on bundled data."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from thinnet.cli._train import Job, check_out, console, train
from thinnet.cli._write import write_table

ROWS = 100
"""Training rows: few, so that a network without regularization overfits."""
SECONDS = 40.0
SETTINGS = {"time_limit": SECONDS, "n_bins": 0, "n_frequencies": 0}
"""Parameters of the estimator; grey values from 0 to 16 need no encoding, and the first layer is narrower without."""


def run_demo(out: Path, *, seed: int, json: bool) -> None:
    """Train on a few of scikit-learn's handwritten digits, score on the others, write the model and the report."""
    check_out(out)
    x, y = load_digits(return_X_y=True, as_frame=True)
    y = pd.Series(y, name="digit")
    train_x, test_x, train_y, test_y = train_test_split(x, y, train_size=ROWS, stratify=y, random_state=seed)
    printer = console(json)
    printer.print(
        f"Handwritten digits, 8 by 8 points: {ROWS} to learn from, {len(test_x):,} kept unseen.\n"
        f"Networks without and with all kinds of regularization train side by side for {SECONDS:.0f} s.",
        soft_wrap=True,
    )
    unseen = out / "unseen.csv"
    settings = {**SETTINGS, "random_state": seed}
    job = Job(train_x, train_y, "classification", out, settings, test=(test_x, test_y), json=json)
    train(job, printer)
    write_table(test_x.assign(digit=test_y), unseen)
    printer.print(f"next: thinnet predict {shlex.quote(str(out))} {shlex.quote(str(unseen))}", soft_wrap=True)
