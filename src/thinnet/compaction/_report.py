"""The report of a compaction: sizes before and after, what prevented more, and the proof of equality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from thinnet._text_table import text_table
from thinnet.compaction._cost import Cost, cost_of, latency_pair
from thinnet.compaction.analyze._call import Value
from thinnet.compaction.analyze._decide import Decision, obstacles
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.prove._equality import Proof
from thinnet.compaction.shrink._recipe import recipe_of


@dataclass(frozen=True)
class Layer:
    """A layer with fewer inputs or outputs than before.

    Args:
        name: its name from the root; that of the weight, where the layer has several.
        kind: its class.
        before: the shape of the weight before.
        after: the same now.
    """

    name: str
    kind: str
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """Sizes of a model before and after compaction, with the proof of equality; prints as a table.

    Args:
        layers: what became smaller, layer by layer.
        before: parameters, bytes and operations before.
        after: the same now.
        latency: median seconds of a call on the example inputs, before and now, measured in turn.
        removed: per parameter and buffer, per dimension: how many slices were removed.
        pinned: why the others cannot be removed, and to how many slices of parameters each reason applies.
        proof: how equal outputs and gradients are.
        answers: whether the outputs depend on the inputs at all.
        how: what traced the model.
        recipe: what `rebuild` makes the same shape from; JSON.
    """

    layers: tuple[Layer, ...]
    before: Cost
    after: Cost
    latency: tuple[float, float]
    removed: Mapping[str, Mapping[int, int]]
    pinned: Mapping[Pin, int]
    proof: Proof
    answers: bool
    how: str
    recipe: dict[str, Any] = field(repr=False)

    @property
    def parameters(self) -> tuple[int, int]:
        """The number of parameters before and now."""
        return self.before.parameters, self.after.parameters

    def __str__(self) -> str:
        before, after = self.before, self.after
        slow, fast = self.latency
        rows = [("layer", "kind", "before", "after")]
        rows += [(a.name or "(model)", a.kind, _shape(a.before), _shape(a.after)) for a in self.layers]
        lines = [text_table(rows) if self.layers else NOTHING]
        lines += [
            "",
            text_table(
                [
                    ("", "before", "after", "ratio"),
                    _row("parameters", before.parameters, after.parameters),
                    _row("bytes", before.size, after.size),
                    _row("operations", before.flops, after.flops),
                    ("ms a call", f"{1e3 * slow:.3f}", f"{1e3 * fast:.3f}", f"{fast / slow:.2f}"),
                ]
            ),
            "",
            f"Equal: {self.proof}. Traced by {self.how}.",
        ]
        if not self.answers:
            lines.append("The outputs no longer depend on the inputs: the strength was too large.")
        if self.pinned:
            lines += ["", "Never removable:"]
            ranked = sorted(self.pinned.items(), key=lambda item: -item[1])
            lines += [f"{count:>8,}  {pin}" for pin, count in ranked[:SHOWN]]
            rest = ranked[SHOWN:]
            if rest:
                lines.append(f"{sum(n for _, n in rest):>8,}  for {len(rest)} more reasons: report.pinned")
        return "\n".join(lines)

    __repr__ = __str__


NOTHING = "Nothing was removed: no structure is always zero, or those that are cannot be removed for the reasons below."
"""What a printed report says where no layer became smaller."""

SHOWN = 8
"""Reasons that a printed report names."""


def report_of(
    model: nn.Module,
    small: nn.Module,
    inputs: Inputs,
    deps: DependencyGraph,
    decision: Decision,
    attributes: Mapping[str, Mapping[str, Any]],
    proof: Proof,
) -> Report:
    """The report of a model and the smaller one made of it."""
    removed = {
        name: {dim: deps.length(name, dim) - len(indices) for dim, indices in dims.items()}
        for name, dims in decision.kept.items()
    }
    modules, now = dict(model.named_modules()), dict(small.named_parameters())
    layers = []
    for name, weight in model.named_parameters():
        path, _, attribute = name.rpartition(".")
        if weight.shape != now[name].shape and "weight" in attribute:
            owner = path.partition(".parametrizations")[0]
            shown = path if attribute == "weight" else name
            layers.append(Layer(shown, type(modules[owner]).__name__, tuple(weight.shape), tuple(now[name].shape)))
    return Report(
        tuple(layers),
        cost_of(model, inputs),
        cost_of(small, inputs),
        latency_pair(model, small, inputs),
        removed,
        obstacles(deps),
        proof,
        any(bool(value.varies.any()) for node in deps.trace.outputs if isinstance(value := deps.values[node], Value)),
        deps.trace.how,
        recipe_of(deps, decision, attributes),
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _row(name: str, before: int, after: int) -> tuple[str, str, str, str]:
    return name, f"{before:,}", f"{after:,}", f"{after / before:.2f}" if before else "-"
