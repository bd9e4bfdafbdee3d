"""The record of a fit beside its model: leaderboard, curves, weights and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from thinnet._plain_json import to_plain, with_nan
from thinnet.report import Curve, Weights


@dataclass(frozen=True, eq=False)
class FitRecord:
    """What a fit found out beside the model that predicts; reports show it.

    Attributes:
        target: name of the target.
        features: names of the table's columns; None where they had none.
        facts: what was fitted, in words.
        notes: what the reader should know.
        held_out_score: of the ensemble.
        leaderboard: a row a configuration.
        curves: of the best and the unregularized configuration.
        weights: of the same.
        feature_path: a row a strength, where columns were chosen.
        feature_strengths: the strength from which on each column is left out, where columns were chosen.
    """

    target: str
    features: Sequence[str] | None
    facts: dict[str, str]
    notes: list[str]
    held_out_score: float
    leaderboard: pd.DataFrame
    curves: list[Curve]
    weights: list[Weights]
    feature_path: pd.DataFrame | None = None
    feature_strengths: dict[str, float] | None = None


def to_folder(record: FitRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record as JSON and arrays by name."""
    settings: dict[str, Any] = {
        "target_name_": record.target,
        "facts_": record.facts,
        "notes_": record.notes,
        "held_out_score_": record.held_out_score,
        "leaderboard": record.leaderboard.to_dict("list"),
        "curves": [asdict(curve) for curve in record.curves],
        "shown": [{"name": w.name, "layers": list(w.layers)} for w in record.weights],
    }
    if record.features is not None:
        settings["feature_names_in_"] = list(record.features)
    if record.feature_path is not None and record.feature_strengths is not None:
        settings["feature_path"] = record.feature_path.to_dict("list")
        settings["feature_strengths"] = list(record.feature_strengths.items())
    arrays = {
        f"shown.{i}.{layer}": w for i, weights in enumerate(record.weights) for layer, w in weights.layers.items()
    }
    return to_plain(settings), arrays


def from_folder(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> FitRecord:
    """The record that `to_folder` wrote."""
    weights = [
        Weights(w["name"], {layer: arrays[f"shown.{i}.{layer}"] for layer in w["layers"]})
        for i, w in enumerate(settings["shown"])
    ]
    strengths = settings.get("feature_strengths")
    return FitRecord(
        settings["target_name_"],
        settings.get("feature_names_in_"),
        settings["facts_"],
        settings["notes_"],
        settings["held_out_score_"],
        pd.DataFrame(with_nan(settings["leaderboard"])),
        [Curve(**with_nan(curve)) for curve in settings["curves"]],
        weights,
        pd.DataFrame(with_nan(settings["feature_path"])) if "feature_path" in settings else None,
        None if strengths is None else {name: np.inf if v is None else v for name, v in strengths},
    )
