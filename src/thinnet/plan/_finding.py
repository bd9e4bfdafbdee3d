"""A finding: one thing that is wrong with a plan or beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "no-match",
    "claimed-twice",
    "decay-on-norm",
    "decay-on-bias",
    "scale-cancelled",
    "double-decay",
    "dropout-before-norm",
    "frozen",
    "not-in-optimizer",
    "zero-strength",
]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a plan, or beside it in the model or optimizer.

    Args:
        code: what was found, for programs.
        parameter: where: a parameter's name, a module's, or the key that claims nothing.
        message: what was found, for people.
        remedy: what to do about it.
    """

    code: Code
    parameter: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message} {self.remedy}"
