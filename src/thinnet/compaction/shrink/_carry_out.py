"""A decision carried out on a model, with the attributes that remember its sizes."""

from __future__ import annotations

from torch import nn

from thinnet.compaction.analyze._decide import Decision
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._trace import operation, origin
from thinnet.compaction.shrink._repair import Attributes
from thinnet.compaction.shrink._shrink import fold_, rescale_, shrink_
from thinnet.compaction.shrink._size_attributes import sizes_of
from thinnet.compaction.shrink._sizes_after import shape_after

_WITHOUT_PARAMETERS = ("_native_batch_norm_legit_no_training", "batch_norm", "group_norm", "instance_norm")


def carry_out_(model: nn.Module, deps: DependencyGraph, decision: Decision) -> Attributes:
    """Carry the decision out in place; the attributes that were set, by module."""
    channels = {}
    for node in deps.trace.graph.nodes:
        if operation(node) in _WITHOUT_PARAMETERS and node.op == "call_function":
            source = next(iter(node.all_input_nodes))
            channels[origin(node).module] = shape_after(deps, source, decision.removed)[1]
    channels = {name: n for name, n in channels.items() if sizes_of(model.get_submodule(name), n)}
    fold_(model, decision.folds)
    attributes = shrink_(model, decision.kept, channels)
    for path, values in rescale_(model, decision.widths).items():
        attributes[path] = attributes.get(path, {}) | values
    return attributes
