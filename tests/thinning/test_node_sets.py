import pytest
import torch
from torch import Generator, Tensor

from thinnet.thinning import node_sets


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def members(sets: list[Tensor]) -> list[set[int]]:
    return [set(nodes.tolist()) for nodes in sets]


@pytest.mark.parametrize(("n", "p", "groups"), [(6, 0.5, 1), (7, 0.3, 2), (5, 0.9, 3), (4, 0.0, 2), (3, 1.0, 2)])
def test_sets_of_a_draw_are_ascending_alike_in_size_and_within_the_nodes(n: int, p: float, groups: int) -> None:
    sets = node_sets(n, p, groups, generator=seeded())
    assert len(sets) == groups and len({len(nodes) for nodes in sets}) == 1
    for nodes in sets:
        assert nodes.tolist() == sorted(set(nodes.tolist())) and set(nodes.tolist()) <= set(range(n))
        assert int(n * (1 - p)) <= len(nodes) <= int(n * (1 - p)) + 1


def test_every_node_stays_with_one_probability() -> None:
    n, p, draws = 5, 0.3, 4000
    generator = seeded()
    counts, sizes = torch.zeros(n), []
    for _ in range(draws):
        (nodes,) = node_sets(n, p, generator=generator)
        counts[nodes] += 1
        sizes.append(len(nodes))
    error = (p * (1 - p) / draws) ** 0.5
    assert (counts / draws - (1 - p)).abs().max() < 4 * error
    assert set(sizes) == {3, 4} and abs(sum(sizes) / draws - 3.5) < 4 * 0.5 / draws**0.5


@pytest.mark.parametrize(("n", "p", "groups"), [(6, 0.5, 2), (8, 0.75, 4), (8, 0.5, 4), (9, 0.4, 3)])
def test_sets_cover_as_many_nodes_as_they_can(n: int, p: float, groups: int) -> None:
    for seed in range(5):
        sets = members(node_sets(n, p, groups, generator=seeded(seed)))
        assert len(set().union(*sets)) == min(n, sum(map(len, sets)))


def test_the_generator_decides() -> None:
    first, again, other = (node_sets(30, 0.5, generator=seeded(seed))[0].tolist() for seed in (1, 1, 2))
    assert first == again != other
