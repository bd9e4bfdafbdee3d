import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from thinnet.tabular._budget import Budget
from thinnet.tabular.features import _path as _feature_path
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._training import Training


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Python's own Ctrl-C, also where whatever started the tests ignores it, as shells do in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    """Six columns, the last three of them bins, of 120 rows in three folds."""

    def make(classes: int = 3, *, rows: int = 120, folds: int = 3) -> Problem:
        rng = np.random.default_rng(7)
        x = rng.normal(size=(rows, 6)).astype(np.float32)
        signal = x[:, 0] - x[:, 3] + 0.5 * rng.normal(size=rows)
        if classes > 1:
            y = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes)).astype(np.int64)
        else:
            y = (signal / signal.std()).astype(np.float32)
        return Problem(
            torch.from_numpy(x),
            torch.from_numpy(y),
            rng.permutation(np.arange(rows) % folds),
            classes,
            np.array(["numeric"] * 3 + ["bins"] * 3),
        )

    return make


@pytest.fixture
def train() -> Callable[..., Training]:
    """A training run to its end."""

    def run(problem: Problem, configurations: list[Configuration], *, steps: int = 100, **options: object) -> Training:
        settings = {"hidden": (8,), "batch_size": 32, "seed": 0, "schedule": Schedule(steps, Budget(None))}
        training = Training(problem, configurations, **(settings | options))
        training.run()
        return training

    return run


@pytest.fixture
def short_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of columns that is done at once, and whose choice means little."""
    for name, value in {"POINTS": 5, "FEWEST": 2, "FIRST_ROUNDS": 8, "ROUNDS": 2, "REFIT": 2}.items():
        monkeypatch.setattr(_feature_path, name, value)
