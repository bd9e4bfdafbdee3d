"""Plan of the strengths of a path: which one comes next, from what is known of the points until now."""

from __future__ import annotations

from dataclasses import dataclass

from thinnet.search._grid import Direction, geometric


@dataclass(frozen=True)
class StrengthPlan:
    r"""The strengths of a path in the order in which they are trained.

    Strengths that are given come one by one. Otherwise they are a geometric grid from eps · t_max to t_max, the largest
    strength, which is measured: before the first point on the way down, and on the way up after it, as that is the
    dense network, of strength 0. Upward the grid ends early where no penalized weight is left, and is continued beyond
    t_max by the same factor, to twice its length at most, while one is.

    Args:
        direction: "up" or "down".
        given: the strengths, in order; None for the grid.
        n_strengths: of the grid.
        eps: the least strength of the grid over the largest.

    Example:
        >>> plan = StrengthPlan("down", None, n_strengths=3, eps=0.01)
        >>> plan.needs_largest(done=0, largest=None)
        True
        >>> [plan.next(done, largest=5.0, left=True) for done in range(4)]
        [5.0, 0.5, 0.05, None]
    """

    direction: Direction
    given: list[float] | None
    n_strengths: int
    eps: float

    def needs_largest(self, done: int, largest: float | None) -> bool:
        """Whether the largest strength must be measured before the next point.

        Downward this is so for strengths that are given as well: measuring takes the network to where they begin.

        Args:
            done: points until now.
            largest: what was measured until now.
        """
        if self.direction == "down":
            return not done
        return self.given is None and done > 0 and largest is None

    def next(self, done: int, largest: float | None, left: bool) -> float | None:
        """The strength of the next point; None where the path ends.

        Args:
            done: points until now.
            largest: the largest strength, as measured.
            left: whether a penalized weight is not zero.
        """
        if self.given is not None:
            return self.given[done] if done < len(self.given) else None
        if self.direction == "up" and not done:
            return 0.0
        assert largest is not None, "the largest strength is measured first"
        grid = geometric(largest, self.eps, self.n_strengths)
        if self.direction == "down":
            return grid[-1 - done] if done < len(grid) else None
        return self._rising(grid, done - 1) if left and done <= 2 * self.n_strengths else None

    def _rising(self, grid: list[float], index: int) -> float:
        if index < len(grid):
            return grid[index]
        factor, strength = self.eps ** (-1 / max(self.n_strengths - 1, 1)), grid[-1]
        for _ in range(len(grid), index + 1):
            strength *= factor
        return strength
