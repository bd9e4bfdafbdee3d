"""Norms, zeros and dead nodes of each parameter under a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from thinnet._text_table import text_table
from thinnet.plan import Binding


@dataclass(frozen=True)
class Row:
    """Rules, norm, zeros and dead nodes of one weight.

    Args:
        parameter: its name.
        rules: its rules, as they print.
        shape: its shape, as stored.
        norm: its Euclidean norm.
        zeros: how many weights are exactly zero.
        size: how many weights there are.
        dead_outputs: outputs with no incoming weight but zeros.
        dead_inputs: inputs with no outgoing weight but zeros.
    """

    parameter: str
    rules: str
    shape: tuple[int, ...]
    norm: float
    zeros: int
    size: int
    dead_outputs: int
    dead_inputs: int

    @classmethod
    def of(cls, binding: Binding) -> Row:
        """Measure the weight of a binding."""
        w = binding.weight.value().detach()
        outputs, inputs = binding.layout.dead(w)
        norm = float(w.double().norm())
        rules = " + ".join(map(repr, binding.rules))
        return cls(binding.name, rules, tuple(w.shape), norm, int((w == 0).sum()), w.numel(), outputs, inputs)


@dataclass(frozen=True)
class Summary:
    """The rows of all parameters under a plan; prints as a table."""

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, bindings: Iterable[Binding]) -> Summary:
        """Measure the weight of each binding."""
        return cls(tuple(map(Row.of, bindings)))

    def __str__(self) -> str:
        head = ("parameter", "shape", "norm", "zeros", "dead outputs", "dead inputs", "rules")
        cells = [head, *map(_cells, self.rows)]
        return text_table(cells, left=(0, len(head) - 1))

    __repr__ = __str__


def _cells(row: Row) -> tuple[str, ...]:
    share = f"{row.zeros} ({row.zeros / row.size:.1%})" if row.size else "0"
    shape = "x".join(map(str, row.shape))
    dead = (str(row.dead_outputs), str(row.dead_inputs))
    return row.parameter, shape, f"{row.norm:.4g}", share, *dead, row.rules
