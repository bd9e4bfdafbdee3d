"""Groups of the weights of one parameter: rows, columns, or blocks of columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from thinnet._strength import Strength, broadcast, precise
from thinnet._weight_groups import group_view
from thinnet.penalties._blocks import Blocks

By = Literal["outputs", "inputs"]


@dataclass(frozen=True, eq=False)
class Grouping:
    """The groups of weights that were viewed by outputs or by inputs.

    What there is one of for each group keeps the dimensions of the view, so that it meets the weights.

    Args:
        inside: the dimensions of the view over which sums go.
        blocks: what inputs then go together; None where each stands alone, or groups are outputs.
    """

    inside: tuple[int, ...]
    blocks: Blocks | None

    @classmethod
    def of(cls, w: Tensor, by: By, blocks: Sequence[int] | None, depth: int) -> tuple[Tensor, Grouping]:
        """The view of `w`, behind a stack of `depth` dimensions, in the precision to work in, and its groups."""
        view, inside = group_view(precise(w), by, depth)
        if blocks is None:
            return view, cls(inside, None)
        refuse_outputs(by)
        blocks = Blocks.of(blocks)
        blocks.check("a weight", w.shape, view.shape[-2])
        return view, cls(inside, blocks)

    def sum(self, terms: Tensor) -> Tensor:
        """The sum over each group."""
        sums = terms.sum(self.inside, keepdim=True)
        return sums if self.blocks is None else self.blocks.sum(sums)

    def each(self, per_group: Tensor, otherwise: float) -> Tensor:
        """What each weight has by its group, `otherwise` where it is in none, in a shape that meets the view."""
        return per_group if self.blocks is None else self.blocks.each(per_group, otherwise)

    def scaled(self, strength: Strength, view: Tensor) -> Strength:
        """The strength times sqrt(size_g), which makes groups of different sizes comparable."""
        weights = math.prod(view.shape[dim] for dim in self.inside)
        if self.blocks is None:
            return broadcast(strength * math.sqrt(weights), view)
        return broadcast(strength, view) * self.blocks.sizes(view, weights).sqrt_()


def refuse_outputs(by: By) -> None:
    """Refuse blocks of outputs."""
    if by != "inputs":
        raise ValueError(f'GroupLasso: `blocks` are groups of inputs: they need by="inputs", got by={by!r}.')
