"""DropConnect: dropout of single weights, as a rule of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thinnet._random import threshold
from thinnet.rule import Acts, Rule


@dataclass(frozen=True, eq=False, repr=False)
class DropConnect(Rule):
    r"""Removes each connection with probability p while training, and divides the others by 1 − p.

    .. math:: W' = \frac{M \circ W}{1 - p}, \qquad M_{ij} \sim \mathrm{Bernoulli}(1 - p)

    A rule of a plan: `tn.attach(model, tn.Plan({"fc*.weight": tn.DropConnect(0.3)}), optimizer)`. Every call of a layer
    in training uses a fresh W' in the place of W, one for all rows; gradients reach the connections that stayed, times
    1/(1 − p). In eval mode the layer is the dense one. Parameters, their names and the state dict do not change, and
    penalties, decay and constraints beside it (`tn.DropConnect(0.3) + tn.MaxNorm(3.0)`) act on W.

    - A weight that is tied across layers has one mask for each call of each layer. A cell that is called once for every
      time step has one for every step; `LSTM`, `GRU` and `RNN` have one for the whole sequence.
    - A frozen weight stays dense. Whether the optimizer steps the weight does not matter.
    - Like dropout layers, masks are part of the model: a deep copy has them too, until `attach` puts others on it.
    - p is rounded as `tn.Dropout` rounds it. It is no strength: neither `Plan(..., examples=m)`, `plan * 2` nor
      `attachment.scale` change it.
    - `torch.jit.script` does not take the hooks that masks are: `attachment.detach()` first.
    - With a seed, recomputing a layer in the backward pass (`torch.utils.checkpoint`) is refused, as it would meet
      another mask; without one it meets the same.

    Args:
        p: probability of a connection to be removed, in [0, 1].
        seed: of the masks, >= 0; every weight has its own ones, and `attachment.state_dict()` says where they are. None
            draws from torch's default generator.

    Raises:
        TypeError: p is no number, or the seed no integer.
        ValueError: p is outside [0, 1], or the seed is negative.

    Example:
        >>> import torch, thinnet as tn
        >>> model = torch.nn.Linear(3, 5, bias=False)
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> attachment = tn.attach(model, tn.Plan(tn.DropConnect(0.5, seed=0)), optimizer)
        >>> y = model(torch.eye(3))  # the columns of W'
        >>> set(y.flatten().tolist()), set(model.weight.flatten().tolist())
        ({0.0, 2.0}, {1.0})

    References:
        L. Wan, M. Zeiler, S. Zhang, Y. LeCun, R. Fergus, "Regularization of Neural Networks using DropConnect", 2013.
        S. Merity, N. S. Keskar, R. Socher, "Regularizing and Optimizing LSTM Language Models", 2018 (on the recurrent
        weights).
    """

    p: float
    seed: int | None = None
    acts: ClassVar[Acts] = "mask"
    strength_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.p, bool) or not isinstance(self.p, int | float):
            raise TypeError(f"DropConnect: `p` must be a number, got {self.p!r} ({type(self.p).__name__}).")
        threshold(self.p)
        object.__setattr__(self, "p", float(self.p))
        if self.seed is None:
            return
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise TypeError(f"DropConnect: `seed` must be an integer or None, got {self.seed!r}.")
        if self.seed < 0:
            raise ValueError(f"DropConnect: `seed` must be >= 0, got {self.seed}.")

    @property
    def has_effect(self) -> bool:
        """Whether anything is removed."""
        return self.p != 0
