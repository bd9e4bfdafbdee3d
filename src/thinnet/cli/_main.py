"""The entry point: runs a command and turns whatever happens into an exit status and at most one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from thinnet.cli._errors import InputError, Stopped, one_line

PIP = 'pip install "thinnet[tabular]"'
STOPPED = "stopped; nothing is half-written."
EXTRA = {"sklearn", "pandas", "pyarrow", "rich", "typer", "pydantic", "jinja2", "markupsafe", "plotly"}
"""Modules that come with the extra."""


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 2 unusable input, 130 Ctrl-C, 1 a fault of ours."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: the words after `thinnet`.

    Returns:
        The exit status.
    """
    debug = "--debug" in arguments or bool(os.environ.get("THINNET_DEBUG"))
    try:
        from thinnet.cli._app import command

        # typer turns a KeyboardInterrupt into a returned 130
        status = int(command().main(list(arguments), prog_name="thinnet", standalone_mode=False) or 0)
        return end(130, STOPPED) if status == 130 else status
    except Stopped as error:
        return end(130, one_line(error))
    except KeyboardInterrupt:
        return end(130, STOPPED)
    except InputError as error:
        if debug:
            traceback.print_exc()
        return end(2, one_line(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            return fault(error, debug)
        return end(2, f"{error.name} is not installed, and the command line needs it: {PIP}")
    except Exception as error:
        usage = getattr(error, "format_message", None)
        return fault(error, debug) if usage is None else end(2, f"{one_line(ValueError(usage()))} {hint(error)}")


def hint(error: Exception) -> str:
    """Where the command that was typed wrongly is explained."""
    context = getattr(error, "ctx", None)
    return f"Try '{getattr(context, 'command_path', 'thinnet')} --help'."


def fault(error: Exception, debug: bool) -> int:
    """Plead guilty."""
    if debug:
        traceback.print_exception(error)
    plea = "please report it with the traceback" + ("." if debug else " that the same command prints with --debug.")
    return end(1, f"a fault of ours, not of your table: {type(error).__name__}: {one_line(error)}; {plea}")


def end(status: int, message: str) -> int:
    """Say why, and end so."""
    print(f"thinnet: {message}", file=sys.stderr, flush=True)
    return status
