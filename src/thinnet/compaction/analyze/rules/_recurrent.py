"""Recurrent layers: LSTM, GRU and plain ones, of several layers and in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call, Value
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._linear import constants, fold_of, over

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
_CANDIDATE = {"lstm": 2, "gru": 2, "rnn_tanh": 0, "rnn_relu": 0}
"""The gate whose tanh (or ReLU) is the only thing that ever enters a unit's state."""


@dataclass(frozen=True)
class _Cell:
    """One direction of one layer: its weights in the graph; biases are None in a layer without."""

    weight_ih: fx.Node
    weight_hh: fx.Node
    bias_ih: fx.Node | None
    bias_hh: fx.Node | None


@dataclass(frozen=True)
class _Units:
    """What the weights alone say of the units of one cell, each of shape (H,).

    Args:
        zero: the state is zero at every step, whatever the inputs.
        varies: it depends on the inputs.
    """

    zero: Tensor
    varies: Tensor


def _obstacle(call: Call) -> str | None:
    """Why the hidden size must be kept, if it must."""
    if "batch_sizes" in call.arguments:
        return "runs along packed sequences"
    if len(call["params"]) != (4 if call["has_biases"] else 2) * _rows(call):
        return "proj_size: its outputs are projections of its units"
    return None


def _rows(call: Call) -> int:
    """How many cells there are: layers times directions."""
    return int(call["num_layers"]) * _directions(call)


def _directions(call: Call) -> int:
    return 2 if call["bidirectional"] else 1


def _states(call: Call) -> Sequence[fx.Node]:
    """The states that it begins with: (h) or (h, c), each of shape (layers · directions, batch, H)."""
    found = call["hx"]
    return [found] if isinstance(found, fx.Node) else list(found)


def _layers(call: Call) -> list[list[_Cell]]:
    """The cells, by layer and direction."""
    params, each = call["params"], 4 if call["has_biases"] else 2
    cells = [_Cell(*params[i : i + each], *([None] * (4 - each))) for i in range(0, len(params), each)]
    return [cells[i : i + _directions(call)] for i in range(0, len(cells), _directions(call))]


def _units(call: Call) -> list[list[_Units]]:
    """What is known of every unit, layer by layer: the input of a layer is the output of the one before."""
    x = call.value("input")
    zero, varies = over(x.zero, -1), ~over(~x.varies, -1)
    found: list[list[_Units]] = []
    for layer in _layers(call):
        found.append(
            [_cell(call, cell, zero, varies, len(found) * len(layer) + place) for place, cell in enumerate(layer)]
        )
        zero, varies = (torch.cat([getattr(u, name) for u in found[-1]]) for name in ("zero", "varies"))
    return found


def _cell(call: Call, cell: _Cell, zero_in: Tensor, varies_in: Tensor, row: int) -> _Units:
    r"""A unit is silent when it begins at zero and its candidate is zero at every step.

    LSTM: :math:`c \leftarrow f c + i \tanh(0) = 0` and :math:`h = o \tanh(c) = 0`. GRU: :math:`h \leftarrow z h +
    (1 - z) \tanh(0) = 0`. The others: :math:`h = \tanh(0) = 0`. Units that only depend on each
    other are silent together.
    """
    gates, chosen = _GATES[call.name], _CANDIDATE[call.name]
    ih, hh = (_taken(call.part(node), gates) for node in (cell.weight_ih, cell.weight_hh))
    begun = [call.part(node) for node in _states(call)]
    zero = _no_bias(call, cell, gates)[chosen] & ~(ih[chosen] & ~zero_in).any(1)
    for state in begun:
        zero &= state.zero[row].all(0)
    while bool((lost := zero & (hh[chosen] & ~zero).any(1)).any()):
        zero = zero & ~lost
    varies = (ih & varies_in).any(2).any(0) & ~zero
    for state in begun:
        varies |= state.varies[row].any(0)
    for node in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh):
        if node is not None and bool(call.part(node).varies.any()):
            varies = ~zero
    while bool((more := ~zero & ~varies & (hh & varies).any(2).any(0)).any()):
        varies = varies | more
    return _Units(zero, varies)


def _taken(weight: Value, gates: int) -> Tensor:
    """True where unit j of a gate takes input i in, shape (gates, H, inputs)."""
    return (~weight.zero).reshape(gates, -1, weight.data.shape[1])


def _no_bias(call: Call, cell: _Cell, gates: int) -> Tensor:
    """True where a unit of a gate has no bias, shape (gates, H)."""
    if cell.bias_ih is None or cell.bias_hh is None:
        return torch.ones_like(call.part(cell.weight_hh).zero[:, 0]).reshape(gates, -1)
    one, other = call.part(cell.bias_ih), call.part(cell.bias_hh)
    none = one.zero & other.zero
    if call.name != "gru":  # there, a gate stands between the two
        none |= ~one.varies & ~other.varies & (one.data + other.data == 0)
    return none.reshape(gates, -1)


@constant_rule(*_GATES)
def _(call: Call, outcome: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if _obstacle(call) is not None:
        return tuple(torch.ones_like(part, dtype=torch.bool) for part in outcome)
    varies = [[u.varies for u in layer] for layer in _units(call)]
    last = torch.cat(varies[-1]).expand(outcome[0].shape)
    states = torch.stack([v for layer in varies for v in layer])[:, None]
    return (last, *(states.expand(part.shape) for part in outcome[1:]))


@dependency_rule(*_GATES)
def _(call: Call, deps: DependencyGraph) -> list[Axes]:
    """A unit is one slice of every gate; each layer and direction loses as many, for they share one hidden size."""
    outcome = deps.values[call.node]
    why = _obstacle(call)
    layers = [] if why else _layers(call)
    units = [deps.along(cell.weight_hh, 1) for layer in layers for cell in layer]
    labels = [one for one in units if one is not None]
    if not labels or len(labels) < len(units):
        for node in call.operands():
            deps.pin(deps.singles(node), call, why or "has one unit")
        return [() for _ in outcome]
    rows = torch.stack(labels)
    if len(rows) > 1:
        deps.balances.append(rows)
    deps.pin([axis for axis in deps.singles(call["input"]) if axis.dims[0] < 2], call, "runs along it")
    for node in _states(call):
        _begin(call, deps, node, rows)
    last = _read(call, deps, layers, rows)
    states = Axis(rows[:, None], balanced=len(rows) > 1)
    return [(Axis(last[None, None], balanced=_directions(call) > 1),), *((states,) for _ in outcome[1:])]


def _read(call: Call, deps: DependencyGraph, layers: list[list[_Cell]], rows: Tensor) -> Tensor:
    """Note every cell as a consumer of the layer before and of itself; the labels of the last layer's outputs."""
    x, gates = call.value("input"), _GATES[call.name]
    entering, silent, constant = deps.along(call["input"], -1), over(x.zero, -1), constants(x, -1)
    last = rows[0]
    for layer, known, own in zip(layers, _units(call), rows.reshape(len(layers), -1, rows.shape[1]), strict=True):
        for cell, units, labels in zip(layer, known, own, strict=True):
            outputs = _together(call, deps, cell, labels, gates)
            entering = deps.match(entering, deps.along(cell.weight_ih, 1), call, "takes an input of fixed width")
            for node, read, zero in ((cell.weight_ih, entering, silent), (cell.weight_hh, labels, units.zero)):
                weight = call.part(node)
                # a constant further up may still change from step to step
                first = node is cell.weight_ih and layer is layers[0]
                fold = fold_of(deps, cell.bias_ih, constant, weight.data.double().T) if first else None
                deps.consume(call, read, zero, weight=~weight.zero.T, outputs=outputs, fold=fold, source=(node, 1))
        entering = last = own.flatten()
        silent = torch.cat([units.zero for units in known])
    return last


def _together(call: Call, deps: DependencyGraph, cell: _Cell, labels: Tensor, gates: int) -> Tensor:
    """Unite a unit's rows in all gates of all its weights; the labels of all rows, shape (gates · H,)."""
    rows = labels.repeat(gates)
    for node in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh):
        if node is not None:
            deps.match(rows, deps.along(node, 0), call)
    return rows


def _begin(call: Call, deps: DependencyGraph, node: fx.Node, rows: Tensor) -> None:
    """The states that it begins with have as many units as it has; `rows` are its labels, shape (cells, H)."""
    for axis in deps.axes.get(node, ()):
        if axis.balanced and len(axis.dims) > 1 and axis.labels.shape == rows[:, None].shape:
            deps.groups.unite(axis.labels[:, 0], rows)  # another layer's own last state
            return
    deps.pin([axis for axis in deps.singles(node) if axis.dims[0] < 2], call, "begins with it")
    labels = deps.along(node, 2)
    if labels is None:
        deps.pin([rows], call, "begins with a state of fixed size")
        return
    data = call.part(node).data
    # of one number made on the way, any can go: as many as go from the first cell
    uniform = _made(node) and bool((data == data[..., :1]).all())
    meeting = rows[:1] if uniform else rows
    deps.groups.unite(labels.expand_as(meeting), meeting)


def _made(node: fx.Node) -> bool:
    """Whether nothing enters a node's tensor that a model holds or is given."""
    return node.op == "call_function" and all(_made(source) for source in node.all_input_nodes)
