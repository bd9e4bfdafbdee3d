"""`thinnet predict`: predictions of a saved model for a table."""

from __future__ import annotations

from pathlib import Path

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

    from thinnet.tabular import read_model

    model = read_model(folder)
    names = model.schema.names if model.schema.labels == "text" else list(frame.columns)
    check_columns(frame, names, table)
    predictions = model.table(frame[names])
    if out is not None:
        write_table(predictions, out)
    if json:
        from thinnet.cli._json import to_json

        found = {"model": str(folder), "out": None if out is None else str(out), "rows": len(predictions)}
        rows = {} if out is not None else {"predictions": predictions.to_dict("records")}
        to_stdout(to_json(found | rows) + "\n")
    elif out is None:
        to_stdout(predictions.to_csv(index=False))
    else:
        print(f"{len(predictions):,} predictions: {out}")


def is_table_of_predictions(path: Path) -> bool:
    """Whether a file is a table that thinnet predict wrote."""
    try:
        return bool(read_table(path).columns[0] == OURS)
    except InputError:
        return False
