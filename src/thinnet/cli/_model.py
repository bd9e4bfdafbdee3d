"""Loading of the saved model that a command is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thinnet._suggest import suggestion
from thinnet.cli._errors import InputError


def check_model(folder: Path) -> None:
    """Refuse a place that is no folder."""
    if not folder.is_dir():
        what = "is a file, not" if folder.exists() else "is not"
        folders = [p.name for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
        raise InputError(f"{folder} {what} a model folder. {suggestion(folder.name, folders)}".rstrip())


def load_model(folder: Path) -> Any:
    """The fitted estimator that a folder holds."""
    check_model(folder)
    from thinnet import tabular

    return tabular.load(folder)


def beside(folder: Path, suffix: str) -> Path:
    """A place beside a folder, called as it is and `suffix`.

    Example:
        >>> beside(Path("models/churn/"), ".onnx").as_posix()
        'models/churn.onnx'
    """
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.with_name(named.name + suffix)
