"""thinnet predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from thinnet.cli._column_names import check_columns
from thinnet.cli._errors import InputError
from thinnet.cli._model import check_model
from thinnet.cli._read import read_table, suffix
from thinnet.cli._write import check_output_file, to_stdout, write_table

OURS = "prediction"
"""The first column of every table of predictions."""


def predict_table(folder: Path, table: Path, out: Path | None, *, json: bool) -> None:
    """Predict a table's rows with a saved model, to a file or to stdout."""
    if out is not None:
        suffix(out)
        check_output_file(out, is_table_of_predictions, "a table of predictions")
    check_model(folder)
    frame = read_table(table)

    from thinnet import tabular
    from thinnet.cli._json import to_json

    model = tabular.load(folder)
    names = list(getattr(model, "feature_names_in_", frame.columns))
    check_columns(frame, names, table)
    predictions = predict(model, frame[names])
    if out is not None:
        write_table(predictions, out)
    if json:
        found = {"model": str(folder), "out": None if out is None else str(out), "rows": len(predictions)}
        rows = {} if out is not None else {"predictions": predictions.to_dict("records")}
        to_stdout(to_json(found | rows) + "\n")
    elif out is None:
        to_stdout(predictions.to_csv(index=False))
    else:
        print(f"{len(predictions):,} predictions: {out}")


def predict(model: Any, x: pd.DataFrame) -> pd.DataFrame:
    """One row a row: the prediction, then the probability of each class or the standard deviation."""
    if not hasattr(model, "classes_"):
        mean, std = model.predict(x, return_std=True)
        return pd.DataFrame({OURS: mean, "std": std})
    probabilities = pd.DataFrame(model.predict_proba(x), columns=[f"p_{label}" for label in model.classes_])
    probabilities.insert(0, OURS, model.classes_[probabilities.to_numpy().argmax(1)])
    return probabilities


def is_table_of_predictions(path: Path) -> bool:
    """Whether a file is a table that thinnet predict wrote."""
    try:
        return bool(read_table(path).columns[0] == OURS)
    except InputError:
        return False
