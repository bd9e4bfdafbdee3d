"""Nothing is timed in a test."""

import pytest

from thinnet.compaction import _cost


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latencies are measured by the fewest calls there may be."""
    monkeypatch.setattr(_cost, "SECONDS", 0.0)
