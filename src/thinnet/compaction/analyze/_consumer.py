"""Consumers of a labelled dimension: the operations that decide what can be removed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from thinnet.compaction.analyze._call import Call


@dataclass(frozen=True)
class Fold:
    """The bias that a constant input can be folded into.

    Args:
        bias: the name of the bias.
        amounts: what index i adds to each output, shape (n, out); NaN where it is no constant, or another one wherever
            else the layer is used.
        uses: how many operations use the bias.
    """

    bias: str
    amounts: Tensor
    uses: int


@dataclass(frozen=True)
class Rescale:
    """A mean of squares over a width that shrinks: weights and epsilon make up for it.

    Args:
        module: the name of the normalization.
        width: the number of elements that the mean is over.
    """

    module: str
    width: int


@dataclass(frozen=True)
class Consumer:
    """An operation that sums over a labelled dimension of n indices: `out[o] = Σ_i weight[i, o] · x[i]`.

    Args:
        call: the operation.
        labels: of each index, shape (n,).
        silent: True where x[i] is zero whatever the inputs, shape (n,).
        weight: True where output o takes x[i] in, shape (n, out); None when every output does.
        outputs: labels of the outputs, shape (out,); None when they are all kept.
        fold: the bias that constants can be folded into; None when there is none.
        rescale: what makes up for a smaller width; None when the sum is no mean.
        source: the name of the parameter that the weights are, and its dimension of n; None when they are no parameter.
    """

    call: Call
    labels: Tensor
    silent: Tensor
    weight: Tensor | None
    outputs: Tensor | None
    fold: Fold | None
    rescale: Rescale | None
    source: tuple[str, int] | None
