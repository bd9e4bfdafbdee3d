"""The command line: thinnet fit, path, predict, compact, export and demo."""

from thinnet.cli._main import main, run

__all__ = ["main", "run"]
