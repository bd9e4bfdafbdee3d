"""The checkpoint of an unfinished fit: a file from which a killed fit resumes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from thinnet._files import replacing_file
from thinnet.errors import CheckpointError

State = tuple[dict[str, Tensor], dict[str, Any]]

_SECONDS = 10.0
"""Least number of seconds between two writes."""


class Checkpoint:
    """A file of states, replaced as a whole: the tensors of each, and its plain values in the header.

    Args:
        path: the file.
        *identity: whatever the states belong to, as bytes; states of another identity are refused.
        metadata: text that is kept beside the states, such as what was found before the training.
    """

    def __init__(self, path: str | Path, *identity: bytes, metadata: str = "") -> None:
        self.path, self.metadata = Path(path), metadata
        digest = hashlib.sha256()
        for part in identity:
            digest.update(hashlib.sha256(part).digest())
        self.identity = digest.hexdigest()
        self.written = time.monotonic()
        self.failure: str | None = None

    def load(self) -> list[State]:
        """Read the states, none where there is no file.

        Raises:
            CheckpointError: the file is damaged, or belongs to other data or settings.
        """
        if not self.path.exists():
            return []
        try:
            with safe_open(self.path, "pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            plain = json.loads(header["states"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise damaged(self.path, error) from error
        if not plain and header.get("metadata") == self.metadata:
            return []  # no training had begun, so it fits any
        if header.get("identity") != self.identity:
            raise foreign(self.path)
        return [(_under(f"{i}.", tensors), values) for i, values in enumerate(plain)]

    @property
    def due(self) -> bool:
        """Whether it is time to write again, and worth trying."""
        return self.failure is None and time.monotonic() - self.written > _SECONDS

    def save(self, states: Sequence[State]) -> None:
        """Replace the file by these states, whole or not at all; the reason of a failure is kept in `failure`."""
        header = {
            "identity": self.identity,
            "states": json.dumps([plain for _, plain in states]),
            "metadata": self.metadata,
        }
        tensors = {f"{i}.{name}": t.contiguous() for i, (named, _) in enumerate(states) for name, t in named.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing_file(self.path) as partial:
                safetensors.torch.save_file(tensors, partial, header)
        except (OSError, SafetensorError) as error:
            self.failure = str(error)
        self.written = time.monotonic()

    def remove(self) -> None:
        """Delete the file of a fit that is over."""
        self.path.unlink(missing_ok=True)


def read_metadata(path: Path) -> tuple[str, bool]:
    """Read the metadata of a checkpoint, "" where there is no file, and whether a training had begun.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.exists():
        return "", False
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
        return header.get("metadata", ""), bool(json.loads(header["states"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> CheckpointError:
    """Return the error of a file that cannot be read."""
    return CheckpointError(f"{path} is no whole checkpoint ({error}). Delete it to start anew.")


def foreign(path: Path) -> CheckpointError:
    """Return the error of a file that another fit wrote."""
    return CheckpointError(
        f"{path} belongs to another table, other parameters or another seed. Give the same ones (and an "
        "integer random_state) to go on, or delete it to start anew."
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
