"""The result of compacting a table model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_SHOWN = 12
"""Kinds of networks that a printed report names."""


@dataclass(frozen=True)
class CompactedTable:
    """What compacting an estimator did: prints as a table.

    Args:
        members: the nodes of every layer of every network, inputs and outputs included, before and now.
        parameters: their number before and now, of all networks.
        size: bytes of the same.
        latency: by number of rows: median seconds of predicting them before and now, measured in turn.
        difference: how far predictions are apart, relative to the largest.
    """

    members: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    parameters: tuple[int, int]
    size: tuple[int, int]
    latency: Mapping[int, tuple[float, float]]
    difference: float

    @property
    def nodes(self) -> tuple[int, int]:
        """Hidden nodes of all networks, before and now."""
        before, after = (sum(sum(sizes[1:-1]) for sizes in side) for side in zip(*self.members, strict=True))
        return before, after

    def __str__(self) -> str:
        kinds = Counter(self.members).most_common()
        lines = ["networks  nodes of every layer, inputs and outputs included"]
        lines += [f"{n:>8}  {_nodes(before, after)}" for (before, after), n in kinds[:_SHOWN]]
        if rest := kinds[_SHOWN:]:
            lines.append(f"{sum(n for _, n in rest):>8}  of {len(rest)} more kinds")
        figures = [("", "before", "now", "ratio")]
        counts = {"hidden nodes": self.nodes, "parameters": self.parameters, "bytes of weights": self.size}
        figures += [(name, f"{old:,}", f"{new:,}", _ratio(old, new)) for name, (old, new) in counts.items()]
        figures += [
            (f"ms for {rows:,} row{'s' if rows > 1 else ''}", f"{1e3 * old:.1f}", f"{1e3 * new:.1f}", _ratio(old, new))
            for rows, (old, new) in self.latency.items()
        ]
        lines += ["", *(f"{name:<20}{old:>14}{new:>14}{ratio:>8}".rstrip() for name, old, new, ratio in figures), ""]
        return "\n".join(
            [*lines, f"Equal: predictions for made-up rows differ by {self.difference:.1e} of the largest."]
        )

    __repr__ = __str__


def _nodes(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    old, new = ("-".join(map(str, sizes)) for sizes in (before, after))
    return f"{old}, as before" if old == new else f"{old} to {new}"


def _ratio(before: float, after: float) -> str:
    return f"{after / before:.2f}" if before else "-"
