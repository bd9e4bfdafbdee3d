"""`thinnet export`: write a saved model to a file of another format."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from thinnet.cli._errors import InputError, one_line, writing
from thinnet.cli._model import beside, check_model, load_model
from thinnet.cli._write import check_output_file, to_stdout

SUFFIX = ".onnx"
PRODUCER = "thinnet"
EXTRA = {"onnx", "onnxruntime"}
"""Modules that come with the extra `onnx`."""


def export_model(folder: Path, form: str, out: Path | None, *, dates_as_days: bool, json: bool) -> None:
    """Write a saved model as one file in another format, after everything that can be refused is refused."""
    check_format(form)
    check_model(folder)
    place = beside(folder, SUFFIX) if out is None else out
    try:
        check_output(place)
        model = load_model(folder)
        from thinnet.cli._json import to_json

        with writing(place):
            written = model.export_onnx(place, dates="days" if dates_as_days else "refuse")
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise InputError(one_line(error)) from error
    if json:
        to_stdout(to_json({"model": str(folder), **described(written)}) + "\n")
        return
    print(written)
    print(f"run it: onnxruntime.InferenceSession({str(place)!r}).run(None, {{column: array of its values, ...}})")


def check_format(form: str) -> None:
    """Refuse formats that cannot hold a table's model."""
    if form == "pt2":
        raise InputError(
            "a pt2 archive holds operations on tensors alone, and a table's preprocessing reads text: use "
            "--format onnx, which holds both."
        )
    if form != "onnx":
        raise InputError(f"unsupported --format {form!r}; supported: onnx.")


def check_output(out: Path) -> None:
    """Refuse an output file that is not named .onnx, stands for something else, or cannot be written."""
    from thinnet.compaction.export import required

    (onnx,) = required("onnx")
    if out.suffix.lower() != SUFFIX:
        raise InputError(f"{out}: {out.suffix or 'no suffix'} is no ONNX file: name it {out.stem}{SUFFIX}.")

    def is_ours(path: Path) -> bool:
        try:
            return bool(onnx.load(path, load_external_data=False).producer_name == PRODUCER)
        # whatever it is, it is not ours
        except Exception:
            return False

    check_output_file(out, is_ours, "a model that thinnet exported")


def described(written: Any) -> dict[str, Any]:
    """What was written, for JSON."""
    return {
        "out": str(written.path),
        "format": "onnx",
        "bytes": written.size,
        "inputs": [asdict(port) for port in written.inputs],
        "outputs": [asdict(port) for port in written.outputs],
        "difference": written.difference,
        "rows": written.tried,
    }
