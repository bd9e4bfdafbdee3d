import copy

import pytest
import torch

from thinnet.penalties._group_members import Members

PLAIN = {"a": (1, [7, -1, 2, 7]), "b": (0, [2, 9])}


def test_groups_have_slots_in_the_order_of_their_numbers_and_none_has_the_last() -> None:
    members = Members(PLAIN)
    assert members.groups == 3
    assert members.slots("a", torch.device("cpu")).tolist() == [1, 3, 0, 1]
    assert members.slots("b", torch.device("cpu")).tolist() == [0, 2]


def test_it_reads_as_the_mapping_it_was_made_of() -> None:
    members = Members(PLAIN)
    assert dict(members) == {"a": (1, (7, -1, 2, 7)), "b": (0, (2, 9))}
    assert (len(members), list(members), members["b"]) == (2, ["a", "b"], (0, (2, 9)))


def test_what_was_checked_is_not_checked_again() -> None:
    members = Members(PLAIN)
    assert Members.of(members) is members and Members.of(PLAIN) == members
    assert hash(Members(PLAIN)) == hash(members) and len({members, Members(PLAIN)}) == 1


def test_slots_are_kept_on_each_device_and_left_behind_by_copies() -> None:
    members = Members(PLAIN)
    meta = torch.device("meta")
    assert members.slots("a", meta) is members.slots("a", meta)
    assert copy.deepcopy(members) == members and (("a", meta) not in copy.deepcopy(members)._slots)


def test_weights_that_do_not_fit_are_refused() -> None:
    members = Members(PLAIN)
    members.check("a", (5, 4))
    with pytest.raises(ValueError, match="c is not in `members`, which names a, b"):
        members.check("c", (5, 4))
    for shape in ((5, 3), (5,)):
        with pytest.raises(ValueError, match=r"a has shape .*, but its members are 4 along dimension 1; make"):
            members.check("a", shape)
