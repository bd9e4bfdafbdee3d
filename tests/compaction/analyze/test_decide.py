"""The largest set that can go, in graphs made by hand."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from thinnet.compaction.analyze._consumer import Consumer, Fold, Rescale
from thinnet.compaction.analyze._decide import Decision, decide, obstacles
from thinnet.compaction.analyze._dependency_groups import DependencyGroups, Pin

WHY = Pin("linear", "somewhere", "some reason")


class Graph(SimpleNamespace):
    """Layers of nodes, one after another, and who reads whom."""

    def __init__(self) -> None:
        super().__init__(groups=DependencyGroups(), parameters={}, consumers=[], balances=[])

    def layer(self, name: str, n: int) -> Tensor:
        labels = self.groups.fresh(n)
        self.parameters[name] = (labels,)
        return labels

    def reader(self, inputs: Tensor, outputs: Tensor | None, weight: list[list[int]] | None, **more: Any) -> None:
        """`weight[i][o]`: whether output o reads input i."""
        silent = more.pop("silent", [0] * len(inputs))
        taken = None if weight is None else torch.tensor(weight, dtype=torch.bool)
        read = {"fold": None, "rescale": None, "source": None} | more
        self.consumers.append(Consumer(None, inputs, torch.tensor(silent, dtype=torch.bool), taken, outputs, **read))


def left(decision: Decision) -> dict[str, list[int]]:
    return {name: dims[0].tolist() for name, dims in decision.kept.items()}


def test_what_no_output_reads_goes() -> None:
    graph = Graph()
    hidden = graph.layer("hidden", 4)
    graph.reader(hidden, None, [[1, 1], [0, 0], [0, 1], [0, 0]])
    decision = decide(graph)
    assert left(decision) == {"hidden": [0, 2]}
    assert bool(decision)


def test_nothing_goes_that_nothing_reads() -> None:
    graph = Graph()
    graph.layer("hidden", 4)
    assert not decide(graph)


def test_silence_goes_whoever_reads_it() -> None:
    graph = Graph()
    hidden = graph.layer("hidden", 3)
    graph.reader(hidden, None, None, silent=[0, 1, 0])
    assert left(decide(graph)) == {"hidden": [0, 2]}


def test_every_reader_counts() -> None:
    graph = Graph()
    hidden = graph.layer("hidden", 3)
    graph.reader(hidden, None, [[0], [0], [1]])
    graph.reader(hidden, None, [[0], [1], [0]])
    assert left(decide(graph)) == {"hidden": [1, 2]}


def test_a_chain_goes_from_its_end() -> None:
    graph = Graph()
    first, second = graph.layer("first", 3), graph.layer("second", 2)
    graph.reader(first, second, [[1, 0], [1, 1], [0, 1]])
    graph.reader(second, None, [[0], [1]])
    assert left(decide(graph)) == {"first": [1, 2], "second": [1]}


def test_a_ring_that_only_reads_itself_goes() -> None:
    """Units of a recurrence that read each other, and nobody else does."""
    graph = Graph()
    units = graph.layer("units", 3)
    graph.reader(units, units, [[1, 1, 0], [1, 1, 0], [1, 1, 1]])
    graph.reader(units, None, [[0], [0], [1]])
    assert left(decide(graph)) == {"units": [2]}


def test_what_is_pinned_stays_with_what_it_reads() -> None:
    graph = Graph()
    first, second = graph.layer("first", 2), graph.layer("second", 2)
    graph.reader(first, second, [[1, 0], [0, 1]])
    graph.reader(second, None, [[0], [0]])
    graph.groups.pin(second[1:], WHY)
    assert left(decide(graph)) == {"first": [1], "second": [1]}
    assert obstacles(graph) == {WHY: 1}


def test_united_slices_go_together_or_stay() -> None:
    graph = Graph()
    one, other = graph.layer("one", 3), graph.layer("other", 3)
    graph.groups.unite(one, other)
    graph.reader(one, None, [[0], [0], [1]])
    graph.reader(other, None, [[0], [1], [0]])
    assert left(decide(graph)) == {"one": [1, 2], "other": [1, 2]}


def test_one_of_a_dead_layer_stays_with_what_it_needs() -> None:
    graph = Graph()
    first, second = graph.layer("first", 3), graph.layer("second", 2)
    graph.reader(first, second, [[0, 0], [1, 0], [0, 0]])
    graph.reader(second, None, [[0], [0]])
    kept = left(decide(graph))
    assert kept["second"] == [0]
    assert 1 in kept["first"]


def test_rows_lose_as_many_each() -> None:
    graph = Graph()
    hidden = graph.layer("hidden", 6)
    graph.reader(hidden, None, [[0], [0], [1], [1], [0], [1]])
    graph.balances.append(hidden.reshape(2, 3))
    kept = left(decide(graph))["hidden"]
    assert len(kept) == 4
    assert {2, 3, 5} < set(kept)


def test_constants_go_where_there_is_a_place() -> None:
    graph = Graph()
    hidden = graph.layer("hidden", 3)
    nan = torch.nan
    amounts = torch.tensor([[0.5, 2.0], [nan, nan], [0.25, nan]])
    graph.reader(hidden, None, [[1, 1], [1, 1], [1, 0]], fold=Fold("bias", amounts, 1))
    decision = decide(graph)
    assert left(decision) == {"hidden": [1]}
    torch.testing.assert_close(decision.folds["bias"], torch.tensor([0.75, 2.0]))


def test_a_constant_that_has_no_place_with_one_reader_stays_with_all() -> None:
    graph = Graph()
    hidden = graph.layer("hidden", 2)
    amounts = torch.tensor([[0.5], [2.0]])
    graph.reader(hidden, None, [[1], [1]], fold=Fold("bias", amounts, 1))
    graph.reader(hidden, None, [[1], [0]])
    decision = decide(graph)
    assert left(decision) == {"hidden": [0]}
    torch.testing.assert_close(decision.folds["bias"], torch.tensor([2.0]))


def test_the_number_of_squares_is_told() -> None:
    graph = Graph()
    stream = graph.layer("stream", 5)
    graph.reader(stream, None, None, silent=[1, 0, 0, 1, 0], rescale=Rescale("norm", 5))
    assert decide(graph).widths == {"norm": (5, 3)}


def _goes_exactly(graph: Graph, labels: Tensor, gone: set[int]) -> bool:
    """Whether nothing that stays reads anything of this set."""
    for read in graph.consumers:
        for i, label in enumerate(read.labels.tolist()):
            if label not in gone or bool(read.silent[i]):
                continue
            for o in range(1 if read.weight is None else read.weight.shape[1]):
                stays = read.outputs is None or int(read.outputs[o]) not in gone
                if stays and (read.weight is None or bool(read.weight[i, o])):
                    return False
    return True


@pytest.mark.parametrize("seed", range(25))
def test_the_largest_set_by_trying_all(seed: int) -> None:
    draw = random.Random(seed)
    graph = Graph()
    layers = [graph.layer(f"layer{i}", 3) for i in range(3)]
    ends = [*layers[1:], None]
    if draw.random() < 0.5:
        layers, ends = [*layers, layers[0]], [*ends, layers[0]]  # a recurrence
    for inputs, outputs in zip(layers, ends, strict=True):
        weight = [[int(draw.random() < 0.35) for _ in range(3)] for _ in range(3)]
        graph.reader(inputs, outputs, weight, silent=[int(draw.random() < 0.2) for _ in range(3)])
    every = range(1, graph.groups.count)
    sets = (set(chosen) for n in range(10) for chosen in itertools.combinations(every, n))
    free = [gone for gone in sets if _goes_exactly(graph, torch.arange(graph.groups.count), gone)]
    largest = set().union(*free)
    assert largest in free  # such sets are closed under union
    wanted = {}
    for place in range(3):
        rest = [i for i in range(3) if 3 * place + i + 1 not in largest]
        if len(rest) < 3:
            wanted[f"layer{place}"] = rest
    if all(wanted.values()):  # otherwise one of a dead layer stays, and what it reads
        assert left(decide(graph)) == wanted
    else:
        assert all(left(decide(graph)).values())
