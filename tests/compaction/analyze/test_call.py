"""Operations by the names of their arguments; values with the elements that inputs change."""

import torch
from torch import fx

from thinnet.compaction.analyze._call import Call, Value, is_elementwise

ATEN = torch.ops.aten


def call_of(target: object, *values: torch.Tensor, **more: object) -> Call:
    graph = fx.Graph()
    nodes = [graph.placeholder(f"x{i}") for i in range(len(values))]
    node = graph.call_function(target, tuple(nodes), dict(more))
    known = {n: Value.variable(v) for n, v in zip(nodes, values, strict=True)}
    return Call(node, known)


def test_zero_is_what_no_input_changes() -> None:
    value = Value(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([False, True, False]))
    assert value.zero.tolist() == [True, False, False]
    assert Value.constant(torch.zeros(2)).zero.all()
    assert not Value.variable(torch.zeros(2)).zero.any()


def test_arguments_have_the_names_and_defaults_of_the_schema() -> None:
    call = call_of(ATEN.linear.default, torch.ones(2, 3), torch.ones(4, 3))
    assert call.name == "linear"
    assert call.shape("weight") == (4, 3)
    assert call["bias"] is None
    assert [node.name for node in call.operands()] == ["x0", "x1"]


def test_a_call_runs_again_with_other_arguments() -> None:
    call = call_of(ATEN.sum.dim_IntList, torch.arange(6.0).reshape(2, 3), dim=[1])
    assert call.run().tolist() == [3.0, 12.0]
    assert call.run(keepdim=True).shape == (2, 1)
    assert call.run(self=torch.ones(2, 3)).tolist() == [3.0, 3.0]


def test_a_number_is_a_constant() -> None:
    call = call_of(ATEN.add.Tensor, torch.ones(2), other=0)
    assert call.value("other").zero.item()
    assert not call.value("self").zero.any()


def test_elementwise_is_what_torch_tags_so() -> None:
    nodes = [call_of(op, torch.ones(2, 2), torch.ones(2, 2)).node for op in (ATEN.mul.Tensor, ATEN.mm.default)]
    assert [is_elementwise(node) for node in nodes] == [True, False]
    assert not is_elementwise(fx.Graph().call_function(max, (1, 2)))
