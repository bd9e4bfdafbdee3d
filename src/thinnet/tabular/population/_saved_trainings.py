"""The trainings of a fit in its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from thinnet.tabular._budget import Budget
from thinnet.tabular._checkpoint import Checkpoint, State
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._training import Training


class SavedTrainings:
    """All trainings of a fit, written to its checkpoint from time to time, and those that an interrupted fit wrote.

    Args:
        file: the checkpoint; None is no file.
        budget: of the fit. The time that the interrupted fit took is taken from it.
    """

    def __init__(self, file: Checkpoint | None, budget: Budget) -> None:
        self.file, self.budget = file, budget
        self.trainings: list[Training] = []
        self.unfinished: list[State] = file.load() if file else []
        if self.unfinished:
            budget.start -= self.unfinished[-1][1]["elapsed"]

    @classmethod
    def of(
        cls,
        path: str | Path | None,
        problem: Problem,
        settings: Settings,
        configurations: Sequence[Configuration],
        budget: Budget,
        metadata: str,
    ) -> Self:
        """Open the checkpoint of a fit, which is that of these rows, settings and configurations alone.

        Raises:
            CheckpointError: the file is damaged, or belongs to another fit.
        """
        if path is None:
            return cls(None, budget)
        arrays = (problem.x_ND.numpy(), problem.y_N.numpy(), problem.fold_N)
        identity = [*(array.tobytes() for array in arrays), repr((settings, configurations)).encode()]
        return cls(Checkpoint(path, *identity, metadata=metadata), budget)

    @property
    def best_score(self) -> float:
        """Best held-out loss of a configuration in any training."""
        return min(training.best_score for training in self.trainings)

    def add(self, training: Training) -> None:
        """Take in the next training; it goes on from where that of the interrupted fit ended, if that came so far."""
        turn = len(self.trainings)
        self.trainings.append(training)
        if turn < len(self.unfinished):
            training.restore(*self.unfinished[turn])

    def write(self, rounds: int) -> None:
        """Write all trainings of a fit of so many rounds, where there is a file."""
        if self.file:
            extra = {"elapsed": self.budget.elapsed, "rounds": rounds}
            states = [training.state() for training in self.trainings]
            self.file.save([(tensors, {**plain, **extra}) for tensors, plain in states])

    def write_if_due(self, rounds: int) -> None:
        """Write them, unless that was done a short while ago."""
        if self.file and self.file.due:
            self.write(rounds)

    def close(self, *, remove: bool) -> list[str]:
        """Remove the file of a fit that is over; return what the user should know about it."""
        if self.file and remove:
            self.file.remove()
        failure = self.file.failure if self.file else None
        return [f"the checkpoint could not be written: {failure}"] if failure else []
