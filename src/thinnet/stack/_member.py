"""Settings of one member of a stack."""

from __future__ import annotations

from dataclasses import dataclass

from thinnet.rule import Rule


@dataclass(frozen=True)
class Member:
    """Hyperparameters of one network of a stack.

    Args:
        seed: decides its initial weights and all its dropout masks; alike seeds give alike members in any stack.
        lr: its learning rate, > 0.
        rule: penalties, decay and constraints on its weight matrices (never on biases), alone or as a sum.
        dropout: rate after every hidden activation, in [0, 1).
        input_dropout: rate on the inputs, in [0, 1).
        label_smoothing: share of the target spread evenly over the classes, in [0, 1).
        inputs: which inputs it sees, one boolean a column; None is all. Weights of unseen inputs are zero and stay so.

    Raises:
        ValueError: a rate outside [0, 1) or a learning rate that is not positive.
    """

    seed: int = 0
    lr: float = 1e-3
    rule: Rule | None = None
    dropout: float = 0.0
    input_dropout: float = 0.0
    label_smoothing: float = 0.0
    inputs: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"Member: `lr` must be > 0, got {self.lr}.")
        for name in ("dropout", "input_dropout", "label_smoothing"):
            rate = getattr(self, name)
            if not 0 <= rate < 1:
                raise ValueError(f"Member: `{name}` must be in [0, 1), got {rate}.")
