"""Result of an export: the file, its inputs and outputs, and its difference from the model."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from thinnet._files import replacing_file
from thinnet._text_table import text_table

PIP = 'pip install "thinnet[onnx]"'


@dataclass(frozen=True)
class Port:
    """An input or output of a model in a file.

    Args:
        name: what it is called.
        kind: what it holds: "float32", "int64", "string".
        shape: its lengths; None where any length will do.
        meaning: what it stands for, "" where nothing is known.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    meaning: str = ""


@dataclass(frozen=True)
class Exported:
    """What was written: prints as a table.

    Args:
        path: the file.
        format: "ONNX" or "torch.export archive".
        size: bytes of the file.
        inputs: what it takes.
        outputs: what it gives.
        difference: how far the outputs of the written file are from the model's, relative to the largest.
        tried: on how many inputs they were compared.
    """

    path: Path
    format: str
    size: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    difference: float
    tried: int

    def __str__(self) -> str:
        rows = [("", "kind", "shape", ""), *(_row("in ", port) for port in self.inputs)]
        rows += [_row("out", port) for port in self.outputs]
        head = f"{self.path}: {self.format}, {self.size:,} bytes"
        tail = f"Equal: outputs differ by {self.difference:.1e} of the largest over {self.tried} inputs."
        return "\n".join([head, text_table(rows, left=(0, 3)), tail])

    __repr__ = __str__


def _row(side: str, port: Port) -> tuple[str, str, str, str]:
    shape = ", ".join("any" if n is None else str(n) for n in port.shape)
    return f"{side} {port.name}", port.kind, f"({shape})", port.meaning


@contextlib.contextmanager
def written(path: str | Path, what: str) -> Iterator[Path]:
    """A file to write to, which replaces `path` if the block ends without an error and is deleted otherwise.

    `what` names the function in errors.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        raise IsADirectoryError(f"{what}: {place} is a folder; name a file in it.")
    if not place.parent.is_dir():
        raise FileNotFoundError(f"{what}: there is no folder {place.parent}; make it first.")
    # the partial file has the name of the file: torch writes it into archives
    with replacing_file(place) as partial:
        yield partial


def required(*names: str) -> list[ModuleType]:
    """Modules of the extra `onnx`.

    Raises:
        ModuleNotFoundError: one is not installed; the message says what installs it.
    """
    modules = []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != name:
                raise
            raise ModuleNotFoundError(f"{name} is not installed, and ONNX files need it: {PIP}", name=name) from error
    return modules
