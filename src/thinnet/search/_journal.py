"""Finished points in a folder, so that a path that was killed goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

KIND = "thinnet path 1"
_HEADER, _LINES, _WAY = "path.json", "points.jsonl", "way.safetensors"


@dataclass(frozen=True)
class Entry:
    """One finished point as it is kept: numbers, and a way to its tensors.

    Args:
        numbers: JSON.
        tensors: reads the file of its tensors.
    """

    numbers: dict[str, Any]
    tensors: Callable[[], dict[str, Tensor]]


class Journal:
    """A folder with a header, a line a point, a file of tensors a point, and where the walk stands.

    Safetensors and JSON only: reading it executes nothing. A file is whole or not there; a point counts once its line
    is written, which is last.

    Args:
        folder: the folder; it is made where missing.
        header: what makes this path this path; a folder of another one is refused.

    Raises:
        ValueError: the folder holds something else, or the journal of another path.
        OSError: it cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], header: Mapping[str, Any]) -> None:
        self._folder = Path(folder).expanduser()
        if self._folder.exists() and not self._folder.is_dir():
            raise ValueError(f"path: `checkpoint_dir` {self._folder} is a file; name a folder.")
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / _HEADER
        wanted = {"kind": KIND, **json.loads(json.dumps(header))}
        if place.exists():
            found = _json(place)
            differs = [key for key in wanted if found.get(key) != wanted[key]]
            if differs:
                raise ValueError(
                    f"path: `checkpoint_dir` {self._folder} is of another path, it differs in {', '.join(differs)}; "
                    "name another folder, or delete this one to begin anew."
                )
        elif any(not name.name.endswith(".part") for name in self._folder.iterdir()):
            raise ValueError(
                f"path: `checkpoint_dir` {self._folder} is not empty and holds no path; name another folder."
            )
        else:
            self._write(_HEADER, json.dumps(wanted, indent=1).encode())

    def entries(self) -> list[Entry]:
        """The finished points, in order; a last line that was cut short does not count."""
        place = self._folder / _LINES
        lines = place.read_text(encoding="utf-8").split("\n")[:-1] if place.exists() else []
        return [
            Entry(json.loads(line), partial(_tensors, self._folder / _name(i))) for i, line in enumerate(lines) if line
        ]

    def way(self) -> tuple[Any, dict[str, Tensor]] | None:
        """Where the walk stood after the last point: JSON and tensors, None at the start."""
        place = self._folder / _WAY
        if not place.exists():
            return None
        tensors = _tensors(place)
        with safe_open(place, "pt") as file:
            plain = json.loads(file.metadata()["plain"])
        return plain, tensors

    def add(self, numbers: dict[str, Any], tensors: dict[str, Tensor], way: Any, state: dict[str, Tensor]) -> Entry:
        """Keep a point and where the walk stands after it."""
        index = numbers["index"]
        name = _name(index)
        self._save(name, tensors, None)
        self._save(_WAY, state, {"plain": json.dumps(way)})
        place = self._folder / _LINES
        kept = place.read_text(encoding="utf-8").split("\n")[:index] if place.exists() else []
        self._write(_LINES, "".join(f"{line}\n" for line in (*kept, json.dumps(numbers))).encode())
        return Entry(numbers, partial(_tensors, self._folder / name))

    def _save(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
        part = self._folder / f"{name}.part"
        save_file({key: t.detach().cpu().contiguous() for key, t in tensors.items()}, part, metadata)
        _settle(part, self._folder / name)

    def _write(self, name: str, content: bytes) -> None:
        part = self._folder / f"{name}.part"
        part.write_bytes(content)
        _settle(part, self._folder / name)


def _settle(part: Path, place: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, place)


def _tensors(place: Path) -> dict[str, Tensor]:
    try:
        return load_file(place)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"path: {place} cannot be read ({error}); delete its folder to begin anew.") from error


def _name(index: int) -> str:
    return f"point-{index:04}.safetensors"


def _json(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"path: {place} is damaged; delete its folder to begin anew.") from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise ValueError(f"path: {place} is no checkpoint of a path; name another folder.")
    return found
