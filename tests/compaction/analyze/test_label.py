"""Labels of small graphs beside groups worked out by hand."""

import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import FixedSizes, label
from thinnet.compaction.analyze._trace import trace


class Block(nn.Module):
    """Two layers added to each other, reshaped on the way, and one behind them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right, self.last = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((self.left(x) + self.right(x)).reshape(-1, 4).tanh())


def labelled(fixed: dict[str, FixedSizes] | None = None) -> DependencyGraph:
    traced = trace(Block().double().eval(), Inputs.of(torch.randn(5, 3, dtype=torch.float64), "test"))
    return label(traced, propagate_constants(traced), fixed)


def groups_of(deps: DependencyGraph) -> set[frozenset[tuple[str, int, int]]]:
    """Slices of parameters (name, dimension, index) by their group."""
    found: dict[int, set[tuple[str, int, int]]] = {}
    for name, dims in deps.parameters.items():
        for dim, labels in enumerate(dims):
            for index, root in enumerate([] if labels is None else deps.groups.roots(labels).tolist()):
                found.setdefault(root, set()).add((name, dim, index))
    return {frozenset(slices) for slices in found.values()}


def test_a_sum_unites_the_layers_that_meet_in_it() -> None:
    hidden = [
        frozenset({(f"{side}.{kind}", 0, i) for side in ("left", "right") for kind in ("weight", "bias")})
        | {("last.weight", 1, i)}
        for i in range(4)
    ]
    outputs = [frozenset({("last.weight", 0, i), ("last.bias", 0, i)}) for i in range(2)]
    inputs = [frozenset({(f"{side}.weight", 1, i)}) for side in ("left", "right") for i in range(3)]
    assert groups_of(labelled()) == {*hidden, *outputs, *inputs}


def test_inputs_and_outputs_are_pinned_and_hidden_slices_free() -> None:
    deps = labelled()
    pins = deps.groups.pins()
    pinned = {
        (name, dim)
        for name, dims in deps.parameters.items()
        for dim, labels in enumerate(dims)
        if labels is not None and all(root in pins for root in deps.groups.roots(labels).tolist())
    }
    assert pinned == {("left.weight", 1), ("right.weight", 1), ("last.weight", 0), ("last.bias", 0)}
    reasons = {pin.reason for pin in pins.values()}
    assert reasons == {"takes an input of fixed width", "the model returns it"}


def test_the_consumer_of_the_hidden_layer_is_the_last_weight() -> None:
    deps = labelled()
    (last,) = [consumer for consumer in deps.consumers if consumer.source == ("last.weight", 1)]
    hidden = deps.parameters["left.bias"][0]
    torch.testing.assert_close(deps.groups.roots(last.labels), deps.groups.roots(hidden), rtol=0, atol=0)
    assert last.weight is not None
    assert last.weight.shape == (4, 2)
    assert bool(last.weight.all())


def test_fixed_sizes_pin_what_a_reshape_or_every_operation_touches() -> None:
    reshaped = labelled({"": FixedSizes("a size is written in its code")})
    pins = reshaped.groups.pins()
    hidden = reshaped.groups.roots(reshaped.parameters["left.bias"][0]).tolist()
    assert {pins[root].reason for root in hidden} == {"a size is written in its code"}
    only = labelled({"left": FixedSizes("keeps its size", everything=True)}).groups.pins()
    assert "keeps its size" in {pin.reason for pin in only.values()}
