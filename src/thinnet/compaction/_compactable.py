"""Structures that compaction could remove from a model if training made them zero."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from thinnet._text_table import text_table
from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._decide import obstacles
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.analyze._label import label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.prove._check import check
from thinnet.plan import layout_of, unwrap


@dataclass(frozen=True)
class Outputs:
    """The removable outputs of one layer.

    Args:
        layer: its name; that of the weight, where the layer has several.
        kind: its class.
        outputs: how many it has.
        removable: how many of them could be removed.
        groups: the number of structures that these are: 8 rows of a head are one.
        why: what prevents the removal of the others; None where all could be removed.
    """

    layer: str
    kind: str
    outputs: int
    removable: int
    groups: int
    why: Pin | None


@dataclass(frozen=True)
class Potential:
    """The removable structures of a model, layer by layer; prints as a table.

    Args:
        layers: every weight matrix and kernel.
        pinned: why the others cannot be removed, and to how many slices of parameters each reason applies.
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
    """List the structures that `compact` could remove if training made them zero, and the obstacles of the others.

    Args:
        model: any module that `torch.export` can trace; in training mode or not. It is not changed.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.

    Returns:
        Per layer, how many outputs could be removed, in how many structures, and which operation at which line prevents
        the rest.

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
    deps = dependencies_of(model, example_inputs, "compactable")
    pins, read = deps.groups.pins(), {n for r in deps.consumers for n in deps.groups.roots(r.labels).tolist()}
    layers = []
    modules = dict(unwrap(model).named_modules())
    for name, dims in deps.parameters.items():
        path, _, attribute = name.rpartition(".")
        module = modules[path.partition(".parametrizations")[0]]
        outputs = 1 if layout_of(module).inputs_first else 0
        if len(dims) < 2 or "weight" not in attribute or dims[outputs] is None:
            continue
        labels = dims[outputs]
        assert labels is not None
        roots = deps.groups.roots(labels)
        free = torch.tensor([label in read and label not in pins for label in roots.tolist()])
        why = (
            None
            if bool(free.all())
            else pins.get(int(roots[~free][0]), Pin("no operation", "this call", "depends on it"))
        )
        shown, kind = path if attribute == "weight" else name, type(module).__name__
        layers.append(Outputs(shown, kind, len(roots), int(free.sum()), len(torch.unique(roots[free])), why))
    return Potential(tuple(layers), obstacles(deps), deps.trace.how)


def dependencies_of(model: nn.Module, example_inputs: ExampleInputs, what: str) -> DependencyGraph:
    """The dependency groups of a model in eval or training mode; `what` names the function in errors."""
    inputs = Inputs.of(example_inputs, what)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{what}: `model` must be a torch.nn.Module, got {type(model).__name__}.")
    calm = copy.deepcopy(unwrap(model)).eval()
    check(calm, inputs, what)
    traced = trace(calm, inputs, what)
    return label(traced, propagate_constants(traced))
