"""What could ever go, before any training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from thinnet._text_table import text_table
from thinnet.compaction.analyze._constant_propagation import evaluate
from thinnet.compaction.analyze._decide import obstacles
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.analyze._label import label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.prove._check import check
from thinnet.plan import layout_of, unwrap


@dataclass(frozen=True)
class Outputs:
    """What could go of a layer's outputs.

    Args:
        layer: its name; that of the weight, where the layer has several.
        kind: its class.
        outputs: how many it has.
        removable: how many of them could go.
        groups: in how many structures they go: 8 rows of a head are one.
        why: what holds the rest; None where all could go.
    """

    layer: str
    kind: str
    outputs: int
    removable: int
    groups: int
    why: Pin | None


@dataclass(frozen=True)
class Potential:
    """What could ever be removed from a model; prints as a table.

    Args:
        layers: every weight matrix and kernel.
        pinned: why the others stay, and how many slices of parameters each reason holds.
        how: what traced the model.
    """

    layers: tuple[Outputs, ...]
    pinned: Mapping[Pin, int]
    how: str

    def __str__(self) -> str:
        rows = [("layer", "kind", "outputs", "removable", "structures", "held by")]
        rows += [
            (x.layer, x.kind, str(x.outputs), str(x.removable), str(x.groups), "" if x.why is None else f"  {x.why}")
            for x in self.layers
        ]
        return f"{text_table(rows, left=(0, 1, 5))}\nTraced by {self.how}."

    __repr__ = __str__


def compactable(model: nn.Module, example_inputs: ExampleInputs) -> Potential:
    """What `compact` could remove from a model if training made it zero, and what holds the rest.

    Args:
        model: any module that `torch.export` can trace; in training mode or not. It is not changed.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.

    Returns:
        Per layer, how many outputs could go, in how many structures, and which operation at which line holds the rest.

    Raises:
        NotCompactableError: the model cannot be traced; the message says where.
        ValueError: it does not run on the inputs.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> potential = tn.compactable(model, torch.randn(5, 3))
        >>> [(layer.layer, layer.removable, layer.outputs) for layer in potential.layers]
        [('0', 4, 4), ('2', 0, 2)]
    """
    flow = potential_flow(model, example_inputs, "compactable")
    pins, read = flow.labels.pins(), {n for r in flow.reads for n in flow.labels.roots(r.labels).tolist()}
    layers = []
    modules = dict(unwrap(model).named_modules())
    for name, dims in flow.parameters.items():
        path, _, attribute = name.rpartition(".")
        module = modules[path.partition(".parametrizations")[0]]
        outputs = 1 if layout_of(module).inputs_first else 0
        if len(dims) < 2 or "weight" not in attribute or dims[outputs] is None:
            continue
        labels = dims[outputs]
        assert labels is not None
        roots = flow.labels.roots(labels)
        free = torch.tensor([label in read and label not in pins for label in roots.tolist()])
        why = None if bool(free.all()) else pins.get(int(roots[~free][0]), Pin("nothing", "this call", "reads it"))
        shown, kind = path if attribute == "weight" else name, type(module).__name__
        layers.append(Outputs(shown, kind, len(roots), int(free.sum()), len(torch.unique(roots[free])), why))
    return Potential(tuple(layers), obstacles(flow), flow.trace.how)


def potential_flow(model: nn.Module, example_inputs: ExampleInputs, what: str) -> Flow:
    """The labels of a model, whatever its mode; `what` names the function in errors."""
    inputs = Inputs.of(example_inputs, what)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{what}: `model` must be a torch.nn.Module, got {type(model).__name__}.")
    calm = copy.deepcopy(unwrap(model)).eval()
    check(calm, inputs, what)
    traced = trace(calm, inputs, what)
    return label(traced, evaluate(traced))
