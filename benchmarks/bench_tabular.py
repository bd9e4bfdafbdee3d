"""`fit` on real tables beside scikit-learn's own models: held-out loss, seconds, peak memory; same split, same run.

Every model runs in a process of its own, so that peak memory is its own. Losses are log loss for classes and RMSE for
numbers, on a fifth of the rows that no model saw.

Usage: python benchmarks/bench_tabular.py [--time-limit 60] [--seeds 1] [table ...]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from machine import describe

THREADS = 2
TABLES = Path(os.environ.get("THINNET_DATA", "../shared/data")) / "tables"
MODELS = ["thinnet", "MLP", "HistGradientBoosting", "linear, CV"]


def split(name: str, seed: int) -> tuple[Any, ...]:
    """Train and test rows of a table, and whether it is a classification."""
    about = {entry["name"]: entry for entry in json.loads((TABLES / "tables.json").read_text())}[name]
    table = pd.read_csv(TABLES / about["file"])
    y = table.pop(about["target"])
    classes = about["task"] == "classification"
    parts = train_test_split(table, y, test_size=0.2, random_state=seed, stratify=y if classes else None)
    return *parts, classes


def model(kind: str, classes: bool, time_limit: float, table: pd.DataFrame) -> Any:
    """A fresh model; scikit-learn's at their defaults, with the preprocessing that its documentation advises."""
    if kind == "thinnet":
        from thinnet.tabular import ThinNetClassifier, ThinNetRegressor

        return (ThinNetClassifier if classes else ThinNetRegressor)(time_limit=time_limit, random_state=0)
    words = make_column_selector(dtype_include=["object", "string", "category", "bool"])
    numbers = make_column_selector(dtype_include="number")
    if kind == "HistGradientBoosting":
        boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=250)
        encode = make_column_transformer(
            (ordinal, words), remainder="passthrough", verbose_feature_names_out=False
        ).set_output(transform="pandas")
        return make_pipeline(encode, boosting(categorical_features=words(table), random_state=0))
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=3), words),
    )
    if kind == "MLP":
        return make_pipeline(prepare, (MLPClassifier if classes else MLPRegressor)(random_state=0))
    return make_pipeline(prepare, LogisticRegressionCV(max_iter=2000) if classes else RidgeCV(np.logspace(-3, 3, 13)))


def measure(kind: str, name: str, seed: int, time_limit: float) -> None:
    """Fit one model in this process and print a JSON line."""
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore")
    X_train, X_test, y_train, y_test, classes = split(name, seed)
    start = time.perf_counter()
    fitted = model(kind, classes, time_limit, X_train).fit(X_train, y_train)
    seconds = time.perf_counter() - start
    if classes:
        loss = log_loss(y_test, fitted.predict_proba(X_test), labels=fitted.classes_)
    else:
        loss = root_mean_squared_error(y_test, fitted.predict(X_test))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"loss": loss, "seconds": seconds, "peak_mib": peak}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=["phoneme", "credit_g"])
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, name, seed = json.loads(options.measure)
        measure(kind, name, seed, options.time_limit)
        return
    if not TABLES.is_dir():
        sys.exit(f"the tables are not at {TABLES}: set THINNET_DATA to the folder that holds `tables`")
    torch.set_num_threads(THREADS)
    print(describe())
    print("| table | seed | model | held-out loss | seconds | peak MiB |\n|---|---|---|---|---|---|")
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    for name in options.tables:
        for seed in range(options.seeds):
            for kind in MODELS:
                task = ["--measure", json.dumps([kind, name, seed]), "--time-limit", str(options.time_limit)]
                done = subprocess.run(
                    [sys.executable, __file__, *task], env=environment, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    sys.exit(done.stderr)
                row = json.loads(done.stdout.splitlines()[-1])
                figures = f"{row['loss']:.4f} | {row['seconds']:.1f} | {row['peak_mib']:.0f}"
                print(f"| {name} | {seed} | {kind} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
