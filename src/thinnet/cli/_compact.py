"""`thinnet compact`: make a saved model smaller, and save it in a place of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thinnet.cli._errors import writing
from thinnet.cli._model import beside, check_model, load_model
from thinnet.cli._write import check_place, to_stdout


def compact_model(folder: Path, out: Path | None, *, json: bool) -> None:
    """Write a saved model with its dead nodes removed to another folder."""
    check_model(folder)
    place = beside(folder, "-compact") if out is None else out

    from thinnet import tabular
    from thinnet.cli._json import to_json

    tabular.check_destination(place)
    check_place(place)
    model = load_model(folder)
    before = tabular.size_of(folder)
    small, report = model.compact()
    with writing(place):
        small.save(place)
    after = tabular.size_of(place)
    if json:
        to_stdout(
            to_json({"model": str(folder), "out": str(place), **described(report), "bytes": [before, after]}) + "\n"
        )
        return
    print(report)
    print(f"model: {place}, {after / 1e6:.2f} MB where {folder} has {before / 1e6:.2f} MB")


def described(report: Any) -> dict[str, Any]:
    """What was done, for JSON."""
    return {
        "networks": [{"before": before, "after": after} for before, after in report.members],
        "hidden_nodes": report.nodes,
        "parameters": report.parameters,
        "weights_bytes": report.size,
        "seconds": dict(report.latency),
        "difference": report.difference,
    }
