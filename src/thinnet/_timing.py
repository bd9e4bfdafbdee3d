"""Latency of function calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

LEAST, MOST = 5, 200
"""Bounds of the number of measured calls of each function."""


def latencies(
    calls: Sequence[Callable[[], object]], *, seconds: float = 1.0, wait: Callable[[], object] = lambda: None
) -> list[float]:
    """Median duration of a call of each function in seconds.

    The functions are called in turn, so that a change of the machine's load meets all of them; a first call of each is
    not measured.

    Args:
        calls: functions without arguments.
        seconds: about how long to measure in all.
        wait: called before each reading of the clock, such as `torch.cuda.synchronize`.
    """
    durations: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds
    while len(durations[0]) < LEAST or (time.perf_counter() < end and len(durations[0]) < MOST):
        for call, taken in zip(calls, durations, strict=True):
            wait()
            began = time.perf_counter()
            call()
            wait()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in durations]
