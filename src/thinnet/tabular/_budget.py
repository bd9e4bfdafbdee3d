"""Time limits: the time spent and what is left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """A limit in seconds on the time since its start; None is no limit."""

    limit: float | None
    start: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        """Seconds until the limit; infinite without one."""
        return float("inf") if self.limit is None else self.limit - self.elapsed

    def part(self, share: float, *, keep: float = 0.0) -> Budget:
        """Return a budget, from now on, of a share of what is left beyond `keep` seconds."""
        return Budget(None if self.limit is None else max(self.left - keep, 0.0) * share)
