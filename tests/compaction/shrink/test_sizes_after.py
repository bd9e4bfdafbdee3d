"""Lengths of tensors after a removal, beside those of the smaller model when it is run."""

import copy

import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._decide import decide
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import label
from thinnet.compaction.analyze._trace import operation, trace
from thinnet.compaction.shrink._carry_out import carry_out_
from thinnet.compaction.shrink._sizes_after import changes, shape_after


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.last = nn.Conv1d(2, 5, 1), nn.BatchNorm1d(5, affine=False), nn.Conv1d(5, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x)).relu())


def test_shapes_are_those_of_the_smaller_model() -> None:
    model = Net().double().eval()
    with torch.no_grad():
        model.last.weight[:, [1, 4]] = 0
    x = torch.randn(2, 2, 7, dtype=torch.float64)
    traced = trace(model, Inputs.of(x, "test"))
    deps = label(traced, propagate_constants(traced))
    decision = decide(deps)
    small = copy.deepcopy(model)
    attributes = carry_out_(small, deps, decision)
    shapes: list[list[int]] = []
    for module in (small.first, small.last):
        module.register_forward_hook(lambda _module, _given, out: shapes.append(list(out.shape)))
    torch.testing.assert_close(small(x), model(x), rtol=1e-12, atol=1e-12)
    convolutions = [node for node in traced.graph.nodes if operation(node) == "convolution"]
    assert [shape_after(deps, node, decision.removed) for node in convolutions] == shapes == [[2, 3, 7], [2, 3, 7]]
    assert changes(deps, decision.removed) == {name: {5: 3} for name in changes(deps, decision.removed)}
    assert {"first", "norm", "last"} <= set(changes(deps, decision.removed))
    assert attributes["norm"] == {"num_features": 3}
    assert attributes["first"] == {"out_channels": 3}
    assert attributes["last"] == {"in_channels": 3}


def test_nothing_removed_changes_nothing() -> None:
    traced = trace(Net().double().eval(), Inputs.of(torch.randn(2, 2, 7, dtype=torch.float64), "test"))
    deps = label(traced, propagate_constants(traced))
    assert changes(deps, torch.zeros(deps.groups.count, dtype=torch.bool)) == {}
