"""thinnet predict."""

from __future__ import annotations

from pathlib import Path

from thinnet.cli._errors import InputError, from_user
from thinnet.cli._fit import check_columns
from thinnet.cli._model import check_model
from thinnet.cli._read import read_table, suffix
from thinnet.cli._write import check_place, to_stdout, write_table

OURS = "prediction"
"""The first column of every table of predictions."""


def predict_table(folder: Path, table: Path, out: Path | None, *, json: bool) -> None:
    """Predict a table's rows with a saved model, to a file or to stdout."""
    if out is not None:
        check_target(out)
    check_model(folder)
    frame = read_table(table)

    from thinnet.tabular import read_model

    with from_user():
        model = read_model(folder)
    names = model.schema.names if model.schema.labels == "text" else list(frame.columns)
    check_columns(frame, names, table)
    with from_user():
        predictions = model.table(frame[names])
    if out is not None:
        write_table(predictions, out)
    if json:
        from thinnet.cli._closing import to_json

        found = {"model": str(folder), "out": None if out is None else str(out), "rows": len(predictions)}
        rows = {} if out is not None else {"predictions": predictions.to_dict("records")}
        to_stdout(to_json(found | rows) + "\n")
    elif out is None:
        to_stdout(predictions.to_csv(index=False))
    else:
        print(f"{len(predictions):,} predictions: {out}")


def check_target(out: Path) -> None:
    """Refuse an output file that stands for something else, or that cannot be written."""
    suffix(out)
    if out.exists():
        try:
            ours = not out.is_dir() and read_table(out).columns[0] == OURS
        except InputError:
            ours = False
        if not ours:
            raise InputError(f"{out} exists and is no table of predictions: name another file, or remove it.")
    check_place(out)
    if not out.absolute().parent.is_dir():
        raise InputError(f"cannot write {out}: there is no folder {out.parent}; make it first.")
