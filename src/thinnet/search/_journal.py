"""Journal of a path: a folder of finished points, from which a path that was killed resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from thinnet._files import PARTIAL, replacing_file, write_text
from thinnet.search._snapshot import Snapshot

KIND = "thinnet path 2"
_HEADER, _LINES, _CHECKPOINT = "path.json", "points.jsonl", "checkpoint.safetensors"


class Journal:
    """A folder with a header, a line and a file of tensors for each finished point, and where training stands.

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
        elif any(not name.name.endswith(PARTIAL) for name in self._folder.iterdir()):
            raise ValueError(
                f"path: `checkpoint_dir` {self._folder} is not empty and holds no path; name another folder."
            )
        else:
            write_text(place, json.dumps(wanted, indent=1))

    def entries(self) -> list[tuple[dict[str, Any], Path]]:
        """The numbers and the file of tensors of each finished point; a last line cut short does not count."""
        return [(json.loads(line), self._folder / _name(i)) for i, line in enumerate(self._lines()) if line]

    def checkpoint(self) -> Snapshot | None:
        """Where training stood after the last point that was begun to be written; None at the start."""
        place = self._folder / _CHECKPOINT
        if not place.exists():
            return None
        tensors = tensors_in(place)
        with safe_open(place, "pt") as file:
            plain = json.loads(file.metadata()["plain"])
        return Snapshot(plain, tensors)

    def add(self, index: int, numbers: dict[str, Any], tensors: dict[str, Tensor], checkpoint: Snapshot) -> Path:
        """Write a point and where training stands after it; lines from `index` on are replaced.

        Returns:
            The file of the point's tensors.
        """
        place = self._folder / _name(index)
        _save(place, tensors, None)
        _save(self._folder / _CHECKPOINT, checkpoint.tensors, {"plain": json.dumps(checkpoint.plain)})
        lines = [*self._lines()[:index], json.dumps(numbers)]
        write_text(self._folder / _LINES, "".join(f"{line}\n" for line in lines))
        return place

    def _lines(self) -> list[str]:
        place = self._folder / _LINES
        return place.read_text(encoding="utf-8").split("\n")[:-1] if place.exists() else []


def tensors_in(place: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return load_file(place)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"path: {place} cannot be read ({error}); delete its folder to begin anew.") from error


def _save(place: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
    with replacing_file(place) as partial:
        save_file({key: t.detach().cpu().contiguous() for key, t in tensors.items()}, partial, metadata)


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
