import io

import pytest
from rich.console import Console

from thinnet.cli._progress import shown
from thinnet.tabular._progress import Progress


def at(elapsed: float, phase: str = "training", best: float | None = 0.4321) -> Progress:
    return Progress(phase, elapsed / 60, 64, best, elapsed, 60 - elapsed)


def test_plain_lines_where_stdout_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with shown(console) as callback:
        for elapsed in range(12):
            callback(at(elapsed, best=None if elapsed == 0 else 0.4321))
        callback(at(12, "selecting"))
    assert console.file.getvalue().splitlines() == [
        "    0 s  training: 64 networks, 60 s left",
        "    5 s  training: 64 networks, best 0.432, 55 s left",
        "   10 s  training: 64 networks, best 0.432, 50 s left",
        "   12 s  selecting: 64 networks, best 0.432, 48 s left",
    ]


def test_a_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None, _environ={})
    with shown(console) as callback:
        callback(at(30))
    written = console.file.getvalue()
    assert "training" in written and "━" in written
    assert "64 networks, best 0.432, 30 s left" in written


@pytest.mark.parametrize(("left", "says"), [(float("inf"), "no time limit"), (-3.0, "0 s left")])
def test_time_left_is_never_odd(left: float, says: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with shown(console) as callback:
        callback(Progress("training", 0.5, 8, 0.5, 3.0, left))
    assert console.file.getvalue().endswith(f"8 networks, best 0.500, {says}\n")
