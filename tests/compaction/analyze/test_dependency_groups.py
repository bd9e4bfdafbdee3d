"""The partition of slices, against a partition kept as a list of sets."""

import random

import torch

from thinnet.compaction.analyze._dependency_groups import DependencyGroups, Pin


def why(reason: str) -> Pin:
    return Pin("linear", "model.py:1", reason)


def test_fresh_labels_differ_and_none_is_zero() -> None:
    labels = DependencyGroups()
    assert torch.cat([labels.fresh(2), labels.fresh(3)]).tolist() == [1, 2, 3, 4, 5]
    assert labels.count == 6


def test_united_labels_have_one_root_as_in_a_partition_of_sets() -> None:
    draw = random.Random(0)
    for _ in range(20):
        labels, sets = DependencyGroups(), [{label} for label in range(1, 13)]
        every = labels.fresh(12)
        for _ in range(draw.randrange(1, 9)):
            one, other = draw.randrange(1, 13), draw.randrange(1, 13)
            labels.unite(torch.tensor([one]), torch.tensor([other]))
            merged = set().union(*(s for s in sets if s & {one, other}))
            sets = [s for s in sets if not s & merged] + [merged]
        roots = dict(zip(range(1, 13), labels.roots(every).tolist(), strict=True))
        for a in range(1, 13):
            for b in range(1, 13):
                assert (roots[a] == roots[b]) == any({a, b} <= s for s in sets)


def test_a_whole_tensor_is_united_place_by_place() -> None:
    labels = DependencyGroups()
    a, b = labels.fresh(4).reshape(2, 2), labels.fresh(4).reshape(2, 2)
    labels.unite(a, b)
    torch.testing.assert_close(labels.roots(b), labels.roots(a))
    assert len(set(labels.roots(a).flatten().tolist())) == 4


def test_one_united_with_each_makes_one() -> None:
    labels = DependencyGroups()
    a, other = labels.fresh(3), labels.fresh(1)
    labels.unite(a[:1].expand_as(a), a)
    assert len(set(labels.roots(a).tolist())) == 1
    assert labels.roots(other).item() != labels.roots(a)[0].item()


def test_a_pin_holds_the_whole_class_whichever_came_first() -> None:
    labels = DependencyGroups()
    a, b = labels.fresh(2), labels.fresh(2)
    labels.pin(b[1:], why("before"))
    labels.unite(a, b)
    labels.pin(b[:1], why("after"))
    labels.pin(a[:1], why("too late: the first reason is kept"))
    roots = labels.roots(a).tolist()
    assert {root: pin.reason for root, pin in labels.pins().items()} == {roots[0]: "after", roots[1]: "before"}


def test_of_two_pins_that_meet_one_is_kept() -> None:
    labels = DependencyGroups()
    a, b = labels.fresh(1), labels.fresh(1)
    labels.pin(a, why("a"))
    labels.pin(b, why("b"))
    labels.unite(b, a)
    assert [pin.reason for pin in labels.pins().values()] == ["a"]


def test_a_pin_says_where() -> None:
    assert (
        str(Pin("view", "block.2 (Block) at model.py:7", "a reason"))
        == "view in block.2 (Block) at model.py:7: a reason"
    )
