"""thinnet export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from thinnet.cli._errors import InputError, from_user, one_line, writing
from thinnet.cli._model import beside, check_model, load_model
from thinnet.cli._write import check_place, to_stdout

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
        check_target(place)
        model = load_model(folder)
        from thinnet.cli._closing import to_json

        with from_user(), writing(place):
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
        raise InputError(f"{form!r} is no format of ours: use --format onnx.")


def check_target(out: Path) -> None:
    """Refuse an output file that stands for something else, or that cannot be written."""
    from thinnet.compaction.export import required

    (onnx,) = required("onnx")
    if out.suffix.lower() != SUFFIX:
        raise InputError(f"{out}: {out.suffix or 'no suffix'} is no ONNX file: name it {out.stem}{SUFFIX}.")
    if out.exists():
        try:
            ours = not out.is_dir() and onnx.load(out, load_external_data=False).producer_name == PRODUCER
        # whatever it is, it is not ours
        except Exception:
            ours = False
        if not ours:
            raise InputError(f"{out} exists and is no model that thinnet exported: name another file, or remove it.")
    check_place(out)
    if not out.absolute().parent.is_dir():
        raise InputError(f"cannot write {out}: there is no folder {out.parent}; make it first.")


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
