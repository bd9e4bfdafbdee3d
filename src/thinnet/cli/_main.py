"""The entry point: run a command and turn its outcome into an exit status and at most one line on stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from thinnet.cli._errors import Stopped, one_line
from thinnet.errors import ThinnetError

PIP = 'pip install "thinnet[tabular]"'
STOPPED = "stopped; nothing is half-written."
EXTRA = {"sklearn", "pandas", "pyarrow", "rich", "typer", "pydantic", "jinja2", "markupsafe", "plotly"}
"""Modules that the extra installs."""


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 2 unusable input, 130 Ctrl-C, 1 internal error."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: the words after `thinnet`.

    Returns:
        The exit status.
    """
    words = [word for word in arguments if word != "--debug"]  # which may stand before or after the command
    debug = len(words) < len(arguments) or bool(os.environ.get("THINNET_DEBUG"))
    try:
        from thinnet.cli._app import command

        # typer turns a KeyboardInterrupt into a returned 130
        status = int(command().main(words, prog_name="thinnet", standalone_mode=False) or 0)
        return end(130, STOPPED) if status == 130 else status
    except Stopped as error:
        return end(130, one_line(error))
    except KeyboardInterrupt:
        return end(130, STOPPED)
    except ThinnetError as error:
        if debug:
            traceback.print_exc()
        return end(2, one_line(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            return internal_error(error, debug)
        return end(2, f"{error.name} is not installed, and the command line needs it: {PIP}")
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            return internal_error(error, debug)
        return end(2, f"{one_line(ValueError(usage()))} {hint(error)}")


def hint(error: Exception) -> str:
    """The command whose help explains what was mistyped."""
    context = getattr(error, "ctx", None)
    return f"Try '{getattr(context, 'command_path', 'thinnet')} --help'."


def internal_error(error: Exception, debug: bool) -> int:
    """Print an error that is not the user's, with its traceback if asked for, and the request to report it."""
    if debug:
        traceback.print_exception(error)
    remedy = "" if debug else "; rerun with --debug for the traceback"
    return end(1, f"internal error in thinnet, please report: {type(error).__name__}: {one_line(error)}{remedy}")


def end(status: int, message: str) -> int:
    """Print why a command ended, and return its exit status."""
    print(f"thinnet: {message}", file=sys.stderr, flush=True)
    return status
