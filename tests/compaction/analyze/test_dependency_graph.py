"""The record of a graph: axes along one dimension and along several."""

from types import SimpleNamespace

import torch
from torch import fx

from thinnet.compaction.analyze._axes import Axis
from thinnet.compaction.analyze._call import Call, Value
from thinnet.compaction.analyze._dependency_graph import FIXED, DependencyGraph


def made(*shape: int) -> tuple[DependencyGraph, fx.Node, Call]:
    graph = fx.Graph()
    node = graph.placeholder("x")
    values = {node: Value.variable(torch.zeros(shape))}
    call = Call(graph.call_function(torch.ops.aten.relu.default, (node,)), values)
    return DependencyGraph(SimpleNamespace(names={}, values={}, graph=graph), values), node, call


def test_labels_along_a_dimension() -> None:
    deps, node, _ = made(2, 3)
    labels = deps.groups.fresh(3)
    deps.axes[node] = (Axis.along(1, labels, 2),)
    assert deps.along(node, -1).tolist() == labels.tolist()
    assert deps.along(node, 0) is None


def test_an_axis_along_two_dimensions_unites_each_outer_slice() -> None:
    deps, node, _ = made(2, 3)
    labels = deps.groups.fresh(6).reshape(2, 3)
    deps.axes[node] = (Axis(labels),)
    (axis,) = deps.singles(node)
    assert axis.dims == (0,)
    roots = deps.groups.roots(labels)
    assert [len(set(row)) for row in roots.tolist()] == [1, 1]
    assert roots[0, 0] != roots[1, 0]


def test_a_balanced_axis_keeps_its_last_dimension() -> None:
    deps, node, _ = made(2, 3)
    labels = deps.groups.fresh(6).reshape(2, 3)
    deps.axes[node] = (Axis(labels, balanced=True),)
    (axis,) = deps.singles(node)
    assert axis.dims == (1,)
    assert [len(set(column)) for column in deps.groups.roots(labels).T.tolist()] == [1, 1, 1]


def test_of_two_axes_along_one_dimension_one_is_pinned() -> None:
    deps, node, _ = made(2, 3)
    one, other = deps.groups.fresh(3), deps.groups.fresh(3)
    deps.axes[node] = (Axis.along(1, one, 2, alike=True), Axis.along(1, other, 2))
    assert deps.along(node, 1).tolist() == other.tolist()
    assert set(deps.groups.pins()) == set(one.tolist())


def test_dimensions_that_meet_are_united_or_pinned() -> None:
    deps, _, call = made(3)
    one, other = deps.groups.fresh(3), deps.groups.fresh(3)
    assert deps.match(one, other, call) is one
    assert deps.groups.roots(other).tolist() == one.tolist()
    assert deps.groups.pins() == {}
    assert deps.match(None, other, call) is other
    assert {(pin.operation, pin.reason) for pin in deps.groups.pins().values()} == {("relu", FIXED)}


def test_only_labelled_dimensions_have_consumers() -> None:
    deps, _, call = made(3)
    deps.consume(call, None, torch.zeros(3, dtype=torch.bool))
    assert deps.consumers == []
    labels = deps.groups.fresh(3)
    deps.consume(call, labels, torch.tensor([True, False, False]), weight=torch.ones(3, 2, dtype=torch.bool))
    (consumer,) = deps.consumers
    assert consumer.silent.tolist() == [True, False, False]
    assert consumer.source is None
