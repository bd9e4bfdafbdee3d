"""The order in which minibatches go through the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Minibatches:
    """Minibatches in a random order, anew in every epoch, as a function of the seed and the step's number alone.

    A training that is interrupted and goes on sees the same rows in the same steps.

    Args:
        rows: how many there are.
        size: of a minibatch, at least 1; all rows are one where it is larger.
        seed: of the order, a sequence of whole numbers.
        keep_rest: whether the rest of an epoch is a minibatch however small it is. Otherwise a rest of less than half
            the size is left out, unless it is all there is.

    Example:
        >>> batches = Minibatches(10, 4, seed=[0], keep_rest=True)
        >>> [len(batches.rows_of_step(step)) for step in range(4)]
        [4, 4, 2, 4]
        >>> Minibatches(9, 4, seed=[0]).steps_an_epoch  # the last row of an epoch is left out
        2
    """

    def __init__(self, rows: int, size: int, *, seed: list[int], keep_rest: bool = False) -> None:
        self.rows, self.size, self.seed = rows, size, seed
        whole, rest = divmod(rows, size)
        least = 1 if keep_rest else size / 2
        self.steps_an_epoch = whole + (whole == 0 or rest >= least)
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def rows_of_step(self, step: int) -> NDArray[np.int64]:
        """Return the numbers of the rows in a step, which is counted from 0 through all epochs."""
        epoch, position = divmod(step, self.steps_an_epoch)
        if self._epoch != epoch:
            rng = np.random.default_rng([*self.seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(self.rows)
        return self._order[position * self.size : (position + 1) * self.size]
