"""What a saved model keeps, as settings and arrays: weights, encoder, schema, head and the record of its fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thinnet import __version__
from thinnet._plain_json import to_plain
from thinnet.errors import ModelFolderError
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import Schema
from thinnet.tabular.model import _network_blocks, _preprocessing
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.model._folder import OBJECTS, Card, ModelFolder, damaged, read_folder, write_folder
from thinnet.tabular.model._head import ClassHead, Head, NumberHead
from thinnet.tabular.model._predictive_variance import PredictiveVariance
from thinnet.tabular.model._table_model import TableModel

if TYPE_CHECKING:
    from thinnet.tabular.model._fit_record import FitRecord

_RENAMED = {"n_mixes": "n_configurations", "n_waves": "n_frequencies"}
"""Parameters of estimators that have another name in folders of format 3."""


class Saved(NamedTuple):
    """What a folder holds.

    Attributes:
        model: predicts.
        record: of its fit.
        params: of the estimator that was fitted.
    """

    model: TableModel
    record: FitRecord
    params: dict[str, Any]


def write_model(path: str | Path, model: TableModel, record: FitRecord, params: Mapping[str, Any]) -> Path:
    """Write a model, the record of its fit and the parameters of its estimator to a folder, whole or not at all.

    Raises:
        ModelFolderError: the place holds something else, or cannot be written.
    """
    from thinnet.tabular.model import _fit_record

    parts = [
        _network_blocks.to_folder(model.ensemble.blocks),
        _preprocessing.to_folder(model.schema, model.encoder),
        _fit_record.to_folder(record),
    ]
    payload: dict[str, Any] = {
        "weights": model.ensemble.weights_K,
        "temperature": model.ensemble.temperature,
        **_head_to_folder(model.head),
    }
    if model.ensemble.temperatures_K is not None:
        payload["temperatures"] = model.ensemble.temperatures_K
    arrays: dict[str, Any] = {}
    for settings, numbers in parts:
        payload |= settings
        arrays |= numbers
    card = Card(library=__version__, estimator=model.head.estimator, params=to_plain(params), payload=to_plain(payload))
    return write_folder(path, card, arrays)


def read_model(path: str | Path) -> TableModel:
    """Read what predicts from a folder; executes nothing that it holds.

    Raises:
        ModelFolderError: no model, or a damaged one; the message says which file and the remedy.
    """
    return _model(read_folder(path))


def read_saved(path: str | Path) -> Saved:
    """Read everything from a folder; executes nothing that it holds.

    Raises:
        ModelFolderError: no model, or a damaged one; the message says which file and the remedy.
    """
    from thinnet.tabular.model._fit_record import from_folder

    folder = read_folder(path)
    params = dict(folder.card.params)
    if folder.card.format < 4:
        params = {_RENAMED.get(name, name): value for name, value in params.items()}
    return Saved(_model(folder), from_folder(folder.card.payload, folder.arrays), params)


def _model(folder: ModelFolder) -> TableModel:
    if folder.card.estimator not in (ClassHead.estimator, NumberHead.estimator):
        raise ModelFolderError(
            f"{folder.place} holds a {folder.card.estimator}, which this version of thinnet does not know."
        )
    payload: dict[str, Any] = dict(folder.card.payload)
    schema, encoder = _columns(folder)
    ensemble = Ensemble(
        _network_blocks.from_folder(payload, folder.arrays),
        np.array(payload["weights"]),
        np.array(payload["temperatures"]) if "temperatures" in payload else None,
        payload["temperature"],
    )
    # of an older format there may be encodings that no network sees
    return TableModel.of(schema, encoder, ensemble, _head_from_folder(payload))


def _columns(folder: ModelFolder) -> tuple[Schema, Encoder]:
    if folder.objects is None:
        return _preprocessing.from_folder(folder.card.payload, folder.arrays)
    from thinnet.tabular.model._preprocessing_format_3 import read_format_3

    try:
        return read_format_3(folder.objects)
    # a crafted or foreign archive fails in whatever way it likes
    except Exception as error:
        raise damaged(folder.place, OBJECTS) from error


def _head_to_folder(head: Head) -> dict[str, Any]:
    match head:
        case ClassHead():
            return {"classes_": head.classes, "classes_dtype": head.classes.dtype.str}
        case NumberHead():
            return {"mean_": head.mean, "scale_": head.scale, "spread": asdict(head.variance)}


def _head_from_folder(payload: Mapping[str, Any]) -> Head:
    if "classes_" in payload:
        return ClassHead(np.array(payload["classes_"], dtype=np.dtype(payload["classes_dtype"])))
    return NumberHead(payload["mean_"], payload["scale_"], PredictiveVariance(**payload["spread"]))
