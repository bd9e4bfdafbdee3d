import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.thinning import node_sets


def layer(p: float, groups: int = 1, seed: int = 0) -> tn.NodeDropout:
    return tn.NodeDropout(p, groups, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(6,), (5, 6), (4, 3, 6)])
@pytest.mark.parametrize("p", [0.25, 1 / 3, 0.5])
def test_one_set_of_nodes_for_all_rows(shape: tuple[int, ...], p: float) -> None:
    x = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
    (nodes,) = node_sets(6, p, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(shape)
    for node in nodes.tolist():
        expected[..., node] = x[..., node] / (1 - p)
    torch.testing.assert_close(layer(p)(x), expected)


@pytest.mark.parametrize("rows", [1, 2, 6, 7])
@pytest.mark.parametrize("groups", [1, 2, 3, 5])
def test_each_group_of_rows_has_its_set(rows: int, groups: int) -> None:
    y = layer(0.6, groups)(torch.ones(rows, 2, 10))
    sets = node_sets(10, 0.6, groups, generator=torch.Generator().manual_seed(0))
    for part, nodes in zip(y.tensor_split(groups), sets, strict=True):
        for row in part.flatten(0, 1):
            assert row.nonzero().flatten().tolist() == nodes.tolist()


def test_two_groups_at_one_half_are_complementary() -> None:
    first, second = layer(0.5, groups=2)(torch.ones(2, 100))
    assert torch.equal(first + second, torch.full((100,), 2.0))


@pytest.mark.parametrize("groups", [1, 3])
def test_a_removed_node_is_removed_with_all_its_connections(groups: int) -> None:
    before, after = nn.Linear(4, 12), nn.Linear(12, 3)
    hidden = layer(0.5, groups)(before(torch.randn(9, 4, generator=torch.Generator().manual_seed(1))))
    after(hidden).square().sum().backward()
    removed = (hidden == 0).all(0)
    assert removed.any() or groups > 1
    assert torch.equal((before.weight.grad == 0).all(1), removed)
    assert torch.equal(before.bias.grad == 0, removed)
    assert torch.equal((after.weight.grad == 0).all(0), removed)


def test_the_input_needs_nodes() -> None:
    with pytest.raises(ValueError, match=r"NodeDropout: the input must be \(rows, \.\.\., nodes\) or \(nodes,\)"):
        layer(0.5)(torch.tensor(1.0))


@pytest.mark.parametrize("groups", [0, -1])
def test_groups_are_at_least_one(groups: int) -> None:
    with pytest.raises(ValueError, match=f"NodeDropout: `groups` must be >= 1, got {groups}"):
        tn.NodeDropout(0.5, groups)


def test_it_prints() -> None:
    assert repr(tn.NodeDropout(0.2, 3)) == "NodeDropout(p=0.2, groups=3)"
