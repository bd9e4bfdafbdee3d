"""Regularization path: its points, the choice among them, table and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from thinnet.search._choice import best, leaves, one_se
from thinnet.search._figure import path_figure
from thinnet.search._grid import Direction
from thinnet.search._point import Point
from thinnet.search._table import path_frame, path_text


@dataclass(frozen=True, eq=False)
class RegularizationPath:
    """The points of a regularization path, in the order in which they were trained. Prints as a table.

    Attributes:
        points: the points.
        direction: "up" or "down".
    """

    points: tuple[Point, ...]
    direction: Direction

    @property
    def best(self) -> Point:
        """The point of the least held-out error; of equal ones the strongest.

        Raises:
            ValueError: training diverged at every point.
        """
        return best(self.points)

    @property
    def one_se(self) -> Point:
        """The strongest point whose error is within one standard error of the best point's: as good, and simpler.

        Raises:
            ValueError: `evaluate` returned one number, of which there is no standard error.

        References:
            L. Breiman, J. Friedman, R. Olshen, C. Stone, Classification and Regression Trees, 1984.
        """
        return one_se(self.points)

    def table(self) -> Any:
        """A pandas DataFrame, a row a point.

        Raises:
            ModuleNotFoundError: without pandas: `pip install "thinnet[tabular]"`.
        """
        return path_frame(self.points)

    def leaves(self, name: str) -> Tensor:
        """The strength from which on each group of a weight is zero: (groups,); infinite where there is none.

        Args:
            name: of a weight under `GroupLasso`; in a stack, the last of its members is looked at.

        Raises:
            ValueError: no such weight, or its groups were removed along the way.
        """
        return leaves(self.points, name)

    def figure(self, names: Mapping[str, Sequence[str]] | None = None) -> Any:
        """Plot error with its band, nonzero weights or groups and norm against strength, and where groups become zero.

        Args:
            names: of the groups of a weight under `GroupLasso`, by the weight's name; numbers where none are given.

        Returns:
            A plotly figure.

        Raises:
            ModuleNotFoundError: without plotly: `pip install "thinnet[tabular]"`.
        """
        return path_figure(self.points, names or {})

    def __str__(self) -> str:
        return path_text(self.points)
