"""A saved model: a folder of JSON and safetensors, written whole or not at all, and never a pickle."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from thinnet._files import replacing_folder
from thinnet.errors import ModelFolderError

FORMAT = 4
"""The version of the folder's layout that this library writes, and the newest that it reads. Up to 3 the preprocessing
was a file of serialized objects."""

Content = Literal["weights.safetensors", "preprocessing.skops"]

CARD: Literal["model.json"] = "model.json"
WEIGHTS: Content = "weights.safetensors"
OBJECTS: Content = "preprocessing.skops"
"""Of folders up to format 3."""


class FileEntry(BaseModel):
    """Size and content hash of one file of the folder."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Card(BaseModel):
    """`model.json`: what the folder holds, and everything about the model but its arrays of numbers.

    Attributes:
        kind: marks the folder as ours.
        format: version of the folder's layout.
        library: version of thinnet that wrote it.
        estimator: class name of the estimator.
        params: its constructor parameters.
        payload: whatever else the estimator keeps; no NaN or infinite numbers.
        files: every other file of the folder by name; filled in by `write_folder`.
        seal: hash of all the above; filled in by `write_folder`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Literal["thinnet model"] = "thinnet model"
    format: int = FORMAT
    library: str
    estimator: str
    params: dict[str, JsonValue]
    payload: dict[str, JsonValue]
    files: dict[Content, FileEntry] = {}
    seal: str = ""


@dataclass(frozen=True, eq=False)
class ModelFolder:
    """What a model's folder holds.

    Attributes:
        place: the folder.
        card: its card.
        arrays: its arrays by name.
        objects: the content of its `preprocessing.skops`; None from format 4 on.
    """

    place: Path
    card: Card
    arrays: dict[str, NDArray[Any]]
    objects: bytes | None


def check_destination(path: str | Path) -> Path:
    """Refuses a place where no model may be written; the place itself otherwise, links followed.

    Raises:
        ModelFolderError: a file, a folder that is not empty and holds no model of ours, or a parent that is not
            writable.
    """
    place = Path(path).expanduser().resolve()
    if place.is_dir():
        if not _is_ours(place) and any(place.iterdir()):
            raise ModelFolderError(
                f"{path} exists, is not empty and holds no thinnet model. Choose another folder or empty it."
            )
    elif place.exists():
        raise ModelFolderError(f"{path} is a file, not a folder. Choose another name for the model's folder.")
    ancestor = place.parent
    while not ancestor.exists():
        ancestor = ancestor.parent
    if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
        raise ModelFolderError(f"{path} cannot be written: {ancestor} is not a writable folder. Choose another place.")
    return place


def write_folder(path: str | Path, card: Card, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Writes a model's folder, whole or not at all.

    Everything is written to a temporary folder beside `path`, which then takes its place. A model of ours that stood
    there is kept until the new one stands, and removed then; other files in its folder move along.

    Args:
        path: the folder; its parents are made where missing.
        card: the model's card; `files` and `seal` are filled in.
        arrays: numbers by name.

    Returns:
        The folder's absolute path.

    Raises:
        ModelFolderError: the place is not ours to write, or the disk is full.
    """
    place = check_destination(path)
    contents: dict[str, bytes] = {
        WEIGHTS: safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
    }
    contents[CARD] = _sealed(card, contents)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(place, (CARD, WEIGHTS, OBJECTS)) as partial:
            for name, content in contents.items():
                (partial / name).write_bytes(content)
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        raise ModelFolderError(
            f"{path} could not be written: {why}. Nothing was changed. Free some space there, or choose another place."
        ) from error
    return place


def read_folder(path: str | Path) -> ModelFolder:
    """Reads a model's folder; executes nothing that it holds.

    Raises:
        ModelFolderError: no folder, no model, a file that is missing, damaged or altered, or a format that is newer
            than this library.
    """
    place = _existing(path)
    card = _read_card(place)
    weights = _read(place, WEIGHTS, card)
    objects = _read(place, OBJECTS, card) if card.format < 4 else None
    try:
        arrays = safetensors.numpy.load(weights)
    except Exception as error:
        raise damaged(place, WEIGHTS) from error
    return ModelFolder(place, card, arrays, objects)


def size_of(path: str | Path) -> int:
    """Bytes of the files of a model; others that lie in its folder do not count.

    Raises:
        ModelFolderError: no model, or a damaged card.
    """
    place = _existing(path)
    return (place / CARD).stat().st_size + sum(file.size for file in _read_card(place).files.values())


def _existing(path: str | Path) -> Path:
    """The place of a model's folder."""
    place = Path(path).expanduser()
    if not place.exists():
        raise ModelFolderError(f"{path} does not exist. Give the folder that a model was saved to.")
    if not place.is_dir() or not (place / CARD).is_file():
        raise ModelFolderError(f"{path} is not a thinnet model: it is no folder with a {CARD} in it.")
    return place


def _is_ours(place: Path) -> bool:
    """Whether the folder holds a model's card; one that is damaged counts as not ours, to be safe."""
    try:
        card = json.loads((place / CARD).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(card, dict) and card.get("kind") == "thinnet model"


def _sealed(card: Card, contents: Mapping[str, bytes]) -> bytes:
    files = {name: FileEntry(size=len(data), sha256=_digest(data)) for name, data in contents.items()}
    try:
        fields = card.model_copy(update={"files": files}).model_dump(mode="json", exclude={"seal"})
        Card.model_validate_json(json.dumps(fields, allow_nan=False))
        fields["seal"] = _seal(fields)
        return (json.dumps(fields, separators=(",", ":"), allow_nan=False) + "\n").encode()
    except (ValueError, TypeError) as error:
        raise ModelFolderError(f"the model's card is no plain JSON: {error}. Write None for NaN.") from error


def _seal(fields: dict[str, Any]) -> str:
    return _digest(json.dumps(fields, sort_keys=True).encode())


def _read_card(place: Path) -> Card:
    raw = _bytes(place, CARD)
    try:
        fields = json.loads(raw)
    except ValueError as error:
        raise damaged(place, CARD) from error
    if not isinstance(fields, dict) or fields.get("kind") != "thinnet model":
        raise ModelFolderError(f"{place} is not a thinnet model: its {CARD} is not one of ours.")
    version = fields.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ModelFolderError(
            f"{place} has format {version}, written by thinnet {fields.get('library')}; this library reads up to "
            f"format {FORMAT}. Upgrade it: pip install --upgrade thinnet."
        )
    try:
        card = Card.model_validate_json(raw)
    except ValidationError as error:
        raise damaged(place, CARD) from error
    if card.seal != _seal({name: value for name, value in fields.items() if name != "seal"}):
        raise damaged(place, CARD)
    return card


def _read(place: Path, name: Content, card: Card) -> bytes:
    """A file's content, if it is the content that was written."""
    if name not in card.files:
        raise damaged(place, CARD)
    content = _bytes(place, name)
    if len(content) != card.files[name].size or _digest(content) != card.files[name].sha256:
        raise damaged(place, name)
    return content


def _bytes(place: Path, name: str) -> bytes:
    try:
        return (place / name).read_bytes()
    except FileNotFoundError as error:
        raise ModelFolderError(f"{place} lacks {name}. Save the model again, or restore the file.") from error
    except OSError as error:
        raise ModelFolderError(f"{place / name} cannot be read: {error.strerror}. Make it readable.") from error


def damaged(place: Path, name: str) -> ModelFolderError:
    """What is wrong with a file that is not what was saved."""
    return ModelFolderError(
        f"{place / name} is damaged: it is not what was saved (cut short or altered). Save the model again, or "
        "restore the folder from a copy."
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
