"""Progress of a fit: a bar on a terminal, lines of text elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from thinnet.report import number

if TYPE_CHECKING:
    from rich.console import Console

    from thinnet import tabular

EVERY = 5.0
"""Seconds between two plain lines of one phase."""

Callback = Callable[["tabular.Progress"], None]


@contextmanager
def shown(console: Console) -> Iterator[Callback]:
    """A callback that shows the progress it is called with."""
    if not console.is_terminal:
        yield lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        row = bar.add_task("starting", total=1.0, state="")

        def draw(progress: tabular.Progress) -> None:
            bar.update(row, description=progress.phase, completed=progress.fraction, state=state(progress))

        yield draw


def lines(console: Console) -> Callback:
    """A callback that prints a line when the phase changes and every `EVERY` seconds."""
    phase, printed = "", float("-inf")

    def draw(progress: tabular.Progress) -> None:
        nonlocal phase, printed
        if progress.phase != phase or progress.elapsed >= printed + EVERY:
            phase, printed = progress.phase, progress.elapsed
            console.print(f"{progress.elapsed:5.0f} s  {phase}: {state(progress)}", soft_wrap=True)

    return draw


def state(progress: tabular.Progress) -> str:
    """Number of networks in training, best held-out score and time left."""
    best = "" if progress.best is None else f"best {number(progress.best)}, "
    left = f"{max(progress.left, 0):.0f} s left" if math.isfinite(progress.left) else "no time limit"
    count = f"{progress.members} network{'' if progress.members == 1 else 's'}, " if progress.members else ""
    return f"{count}{best}{left}"
