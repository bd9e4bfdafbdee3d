"""The command line: thinnet fit, predict and demo."""

from thinnet.cli._main import main, run

__all__ = ["main", "run"]
