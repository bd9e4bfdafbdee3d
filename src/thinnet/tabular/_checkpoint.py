"""An unfinished training in a file, so that a killed fit can go on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from thinnet.errors import CheckpointError

State = tuple[dict[str, Tensor], dict[str, Any]]

_SECONDS = 10.0
"""Least time between two writes."""


class Checkpoint:
    """One file that always holds whole states: the tensors of each, and its plain values in the header.

    Args:
        path: the file.
        *identity: whatever the states belong to, as bytes; states of another identity are refused.
        memo: what was found out before the training, as text; kept beside the states.
    """

    def __init__(self, path: str | Path, *identity: bytes, memo: str = "") -> None:
        self.path, self.memo = Path(path), memo
        digest = hashlib.sha256()
        for part in identity:
            digest.update(hashlib.sha256(part).digest())
        self.identity = digest.hexdigest()
        self.written = time.monotonic()
        self.failure: str | None = None

    def load(self) -> list[State]:
        """The states, none where there is no file.

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
        if not plain and header.get("memo") == self.memo:
            return []  # no training had begun, so it fits any
        if header.get("identity") != self.identity:
            raise foreign(self.path)
        return [(_under(f"{i}.", tensors), values) for i, values in enumerate(plain)]

    @property
    def due(self) -> bool:
        """Whether it is time to write again, and worth trying."""
        return self.failure is None and time.monotonic() - self.written > _SECONDS

    def save(self, states: Sequence[State]) -> None:
        """Replace the file by these states, whole or not at all. A disk that is full ends the writing, not the fit."""
        partial = self.path.with_name(f".{self.path.name}.partial")
        header = {"identity": self.identity, "states": json.dumps([plain for _, plain in states]), "memo": self.memo}
        tensors = {f"{i}.{name}": t.contiguous() for i, (named, _) in enumerate(states) for name, t in named.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            safetensors.torch.save_file(tensors, partial, header)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except (OSError, SafetensorError) as error:
            self.failure = str(error)
        finally:
            partial.unlink(missing_ok=True)
        self.written = time.monotonic()

    def remove(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)


def kept_memo(path: Path) -> tuple[str, bool]:
    """The memo of a checkpoint, "" where there is no file, and whether a training had begun.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.exists():
        return "", False
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
        return header.get("memo", ""), bool(json.loads(header["states"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> CheckpointError:
    """What is wrong with a file that cannot be read."""
    return CheckpointError(f"{path} is no whole checkpoint ({error}). Delete it to start anew.")


def foreign(path: Path) -> CheckpointError:
    """What is wrong with the file of another training."""
    return CheckpointError(
        f"{path} belongs to another table, other parameters or another seed. Give the same ones (and an "
        "integer random_state) to go on, or delete it to start anew."
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
