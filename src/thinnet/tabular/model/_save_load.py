"""A fitted estimator as a folder, and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import torch

from thinnet import __version__
from thinnet.errors import ModelFolderError
from thinnet.report import Curve, Weights
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import Schema
from thinnet.tabular.model import _blocks, _preprocessing
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.model._folder import (
    OBJECTS,
    Card,
    ModelFolder,
    damaged,
    read_folder,
    write_folder,
)
from thinnet.tabular.model._predictive_variance import Spread
from thinnet.tabular.model._preprocessing_format_3 import read_format_3

if TYPE_CHECKING:
    from thinnet.tabular._estimator import ThinNetClassifier, ThinNetRegressor

_PLAIN = ("n_features_in_", "target_name_", "held_out_score_", "facts_", "notes_", "mean_", "scale_")
"""Fitted attributes that are JSON as they are."""

Kind = TypeVar("Kind")


def write_estimator(estimator: Any, path: str | Path) -> Path:
    """See `save`."""
    params = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if name not in ("callback", "checkpoint")
    }
    params["hidden"] = [int(units) for units in params["hidden"]]
    if isinstance(params["random_state"], np.random.RandomState):
        params["random_state"] = None  # its state at the time of the fit is gone
    settings, tensors = _blocks.to_folder(estimator.ensemble_.stack)
    columns, numbers = _preprocessing.to_folder(estimator.schema_, estimator.encoder_)
    tensors |= numbers
    payload: dict[str, Any] = {name: getattr(estimator, name) for name in _PLAIN if hasattr(estimator, name)}
    payload |= settings | columns
    payload |= {
        "weights": estimator.ensemble_.weights_K.tolist(),
        "temperature": estimator.ensemble_.temperature,
        "leaderboard": _no_nan(estimator.leaderboard_.to_dict("list")),
        "curves": [_no_nan(asdict(curve)) for curve in estimator.curves_],
        "shown": [{"name": w.name, "layers": list(w.layers)} for w in estimator.shown_weights_],
    }
    if hasattr(estimator, "feature_names_in_"):
        payload["feature_names_in_"] = estimator.feature_names_in_.tolist()
    if hasattr(estimator, "classes_"):
        payload["temperatures"] = estimator.ensemble_.temperatures_K.tolist()
        payload["classes_"], payload["classes_dtype"] = estimator.classes_.tolist(), estimator.classes_.dtype.str
    if hasattr(estimator, "spread_"):
        payload["spread"] = asdict(estimator.spread_)
    if estimator.select_features:
        points, strengths = estimator.feature_path_, estimator.feature_strengths_
        payload["feature_path"] = _no_nan(points.to_dict("list"))
        payload["feature_strengths"] = [[name, v if np.isfinite(v) else None] for name, v in strengths.items()]
    for i, shown in enumerate(estimator.shown_weights_):
        tensors |= {
            f"shown.{i}.{layer}": torch.from_numpy(np.ascontiguousarray(w)) for layer, w in shown.layers.items()
        }
    card = Card(
        library=__version__,
        estimator=type(estimator).__name__,
        params=_plain(params),
        payload=_plain(payload),
    )
    return write_folder(path, card, tensors)


def read_estimator(path: str | Path, kind: type[Kind]) -> Kind:
    """See `load`; `kind` is the class that is expected."""
    estimator = load(path)
    if not isinstance(estimator, kind):
        raise ModelFolderError(
            f"{path} holds a {type(estimator).__name__}, not a {kind.__name__}. "
            f"Load it with {type(estimator).__name__}.load, or with thinnet.tabular.load."
        )
    return estimator


def load(path: str | Path) -> ThinNetClassifier | ThinNetRegressor:
    """Read a fitted estimator of either kind from a folder; executes nothing that it holds.

    Raises:
        ModelFolderError: no model, or a damaged one; the message says which file and the remedy.
    """
    from thinnet.tabular import _estimator

    folder = read_folder(path)
    kinds = {"ThinNetClassifier": _estimator.ThinNetClassifier, "ThinNetRegressor": _estimator.ThinNetRegressor}
    if folder.card.estimator not in kinds:
        raise ModelFolderError(f"{path} holds a {folder.card.estimator}, which this version of thinnet does not know.")
    payload: dict[str, Any] = dict(folder.card.payload)
    params: dict[str, Any] = dict(folder.card.params)
    estimator = kinds[folder.card.estimator](**{**params, "hidden": tuple(params["hidden"])})
    for name in _PLAIN:
        if name in payload:
            setattr(estimator, name, payload[name])
    if "feature_names_in_" in payload:
        estimator.feature_names_in_ = np.array(payload["feature_names_in_"], dtype=object)
    if isinstance(estimator, _estimator.ThinNetClassifier):
        estimator.classes_ = np.array(payload["classes_"], dtype=np.dtype(payload["classes_dtype"]))
    else:
        estimator.spread_ = Spread(**payload["spread"])
    if "feature_path" in payload:
        estimator.feature_path_ = pd.DataFrame(payload["feature_path"]).fillna({"held_out": np.nan, "se": np.nan})
        estimator.feature_strengths_ = {n: np.inf if v is None else v for n, v in payload["feature_strengths"]}
    network = _blocks.from_folder(payload, folder.tensors)
    temperatures_K = np.array(payload["temperatures"]) if "temperatures" in payload else None
    estimator.ensemble_ = Ensemble(network, np.array(payload["weights"]), temperatures_K, payload["temperature"])
    estimator.schema_, estimator.encoder_ = _columns(folder)
    estimator.leaderboard_ = pd.DataFrame(payload["leaderboard"]).fillna({"train": np.nan, "held_out": np.nan})
    estimator.curves_ = [Curve(**_with_nan(curve)) for curve in payload["curves"]]
    estimator.shown_weights_ = [
        Weights(w["name"], {layer: folder.tensors[f"shown.{i}.{layer}"].numpy() for layer in w["layers"]})
        for i, w in enumerate(payload["shown"])
    ]
    return estimator


def _columns(folder: ModelFolder) -> tuple[Schema, Encoder]:
    if folder.objects is None:
        return _preprocessing.from_folder(folder.card.payload, folder.tensors)
    try:
        return read_format_3(folder.objects)
    # a crafted or foreign archive fails in whatever way it likes
    except Exception as error:
        raise damaged(folder.place, OBJECTS) from error


def _no_nan(columns: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: None stands for it."""

    def plain(value: Any) -> Any:
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {k: [plain(x) for x in v] if isinstance(v, list | tuple) else plain(v) for k, v in columns.items()}


def _with_nan(columns: dict[str, Any]) -> dict[str, Any]:
    return {k: [np.nan if x is None else x for x in v] if isinstance(v, list) else v for k, v in columns.items()}


def _plain(value: Any) -> Any:
    """Numpy's numbers as Python's."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
