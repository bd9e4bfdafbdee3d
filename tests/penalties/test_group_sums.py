"""Sums over groups against loops over them."""

import pytest
import torch
from torch import Tensor

from thinnet.penalties import _group_sums
from thinnet.penalties._group_members import Members
from thinnet.penalties._group_sums import add_to_groups, group_sizes, group_zeros, parts_of

MEMBERS = Members({"a": (1, [5, -1, 3, 5]), "b": (0, [3, 5, 3]), "c": (0, [-1, 5])})


def weights() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {"a": (6, 4), "b": (3, 2, 2), "c": (2,)}
    return {name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in shapes.items()}


def looped(ws: dict[str, Tensor]) -> list[float]:
    """Each group's sum, in the order of the numbers, then that of what is in none."""
    sums = dict.fromkeys((3, 5, -1), 0.0)
    for name, w in ws.items():
        dim, numbers = MEMBERS[name]
        for number, row in zip(numbers, w.unbind(dim), strict=True):
            sums[number] += float(row.sum())
    return list(sums.values())


def test_terms_are_added_to_the_sums_of_their_groups() -> None:
    ws = weights()
    sums = group_zeros(ws, MEMBERS)
    for name, w in ws.items():
        add_to_groups(sums, w, MEMBERS[name][0], MEMBERS.slots(name, w.device))
    assert sums.tolist() == pytest.approx(looped(ws))


def test_sizes_are_numbers_of_weights_and_none_for_what_is_in_no_group() -> None:
    ones = {name: torch.ones_like(w) for name, w in weights().items()}
    assert group_sizes(ones, MEMBERS).tolist() == [*looped(ones)[:2], 0.0]


def test_sums_are_as_wide_as_the_widest_weights() -> None:
    ws = {"a": torch.ones(6, 4, dtype=torch.bfloat16), "c": torch.ones(2)}
    assert group_zeros(ws, MEMBERS).dtype == torch.float32
    assert group_zeros({**ws, "c": torch.ones(2, dtype=torch.float64)}, MEMBERS).dtype == torch.float64


@pytest.mark.parametrize("block", [2**18, 4])
def test_parts_cover_each_parameter_once_and_their_sums_are_the_whole(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(_group_sums, "BLOCK", block)
    ws = weights()
    metrics: dict[str, Tensor | float] = {name: w.square() + 1 for name, w in ws.items()}
    sums, parts = group_zeros(ws, MEMBERS), list(parts_of(ws, metrics, MEMBERS))
    for part in parts:
        part.add(sums, part.z * part.d)
    assert sum(part.w.numel() for part in parts) == sum(w.numel() for w in ws.values())
    assert (len(parts) > 3) == (block == 4)
    assert sums.tolist() == pytest.approx(looped({name: w * metrics[name] for name, w in ws.items()}))


def test_where_the_metric_is_one_number_norms_of_slices_say_as_much() -> None:
    ws = weights()
    sums = group_zeros(ws, MEMBERS)
    for part in parts_of(ws, dict.fromkeys(ws, 2.0), MEMBERS):
        part.add(sums, part.z.square())
    assert sums.tolist() == pytest.approx(looped({name: w.square() for name, w in ws.items()}))


def test_each_index_gets_what_its_group_has() -> None:
    ws = weights()
    of_a = next(part for part in parts_of(ws, dict.fromkeys(ws, 1.0), MEMBERS) if part.w is ws["a"])
    per_group = torch.tensor([30.0, 50.0, 0.0], dtype=torch.float64)
    assert of_a.broadcast(per_group).tolist() == [[50.0, 0.0, 30.0, 50.0]]
