"""Joining: labels behind each other in a cat, beside each other in a stack."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Joined(nn.Module):
    def __init__(self, join: Callable[..., Tensor], widths: tuple[int, int], reads: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = (nn.Linear(3, n) for n in widths)
        self.reader, self.join = nn.Linear(reads, 2), join

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.join(self.one(x), self.other(x), x))


@torch.no_grad()
def test_cat_offsets(kept: Callable) -> None:
    model = Joined(lambda a, b, x: torch.cat([a, x, b], 1), (4, 2), 9).double()
    model.reader.weight[:, [1, 4, 7]] = 0  # node 1 of one, the input's first, node 0 of the other
    assert kept(model, normal(5, 3)) == {
        "one.weight": {0: [0, 2, 3]},
        "one.bias": {0: [0, 2, 3]},
        "other.weight": {0: [1]},
        "other.bias": {0: [1]},
        "reader.weight": {1: [0, 2, 3, 4, 5, 6, 8]},  # the input's column stays
    }


@torch.no_grad()
def test_cat_along_the_batch_goes_together(kept: Callable) -> None:
    model = Joined(lambda a, b, x: torch.cat([a, b]), (4, 4), 4).double()
    model.one.weight[1] = 0
    model.one.bias[1] = 0
    assert kept(model, normal(5, 3)) == {}
    model.other.weight[1] = 0
    model.other.bias[1] = 0
    rest = {0: [0, 2, 3]}
    assert kept(model, normal(5, 3)) == {
        **{"one.weight": rest, "one.bias": rest, "other.weight": rest, "other.bias": rest},
        "reader.weight": {1: [0, 2, 3]},
    }


@torch.no_grad()
def test_one_tensor_twice(kept: Callable) -> None:
    model = Joined(lambda a, b, x: torch.cat([a, a], -1), (4, 4), 8).double()
    model.reader.weight[:, 1] = 0
    assert "one.weight" not in kept(model, normal(5, 3))
    model.reader.weight[:, 5] = 0
    assert kept(model, normal(5, 3))["reader.weight"] == {1: [0, 2, 3, 4, 6, 7]}


@torch.no_grad()
def test_stack_then_sum(kept: Callable) -> None:
    model = Joined(lambda a, b, x: torch.stack([a, b], 1).sum(1), (4, 4), 4).double()
    model.reader.weight[:, [0, 3]] = 0
    found = kept(model, normal(5, 3))
    assert found["one.weight"] == found["other.bias"] == {0: [1, 2]}


@torch.no_grad()
def test_the_slices_of_a_stack_are_a_number(kept: Callable, reasons: Callable) -> None:
    """One of two stacked tensors is dead; the stack has two slices nevertheless."""
    model = Joined(lambda a, b, x: torch.stack([a, b], -1).flatten(1), (4, 4), 8).double()
    model.reader.weight[:, 1::2] = 0
    assert set(kept(model, normal(5, 3))) <= {"other.weight", "other.bias"}


@torch.no_grad()
def test_a_residual_and_its_block(kept: Callable) -> None:
    """A stream loses a channel where everyone who writes it leaves it zero."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.embed, self.up, self.down, self.head = (
                *(nn.Linear(3, 4), nn.Linear(4, 6)),
                *(nn.Linear(6, 4), nn.Linear(4, 2)),
            )

        def forward(self, x: Tensor) -> Tensor:
            x = self.embed(x)
            return self.head(x + self.down(torch.relu(self.up(x))))

    model = Block().double()
    model.embed.weight[2] = 0
    model.embed.bias[2] = 0
    assert kept(model, normal(5, 3)) == {}  # down writes to it
    model.down.weight[2] = 0
    model.down.bias[2] = 0
    assert kept(model, normal(5, 3)) == {
        **{f"{name}.{part}": {0: [0, 1, 3]} for name in ("embed", "down") for part in ("weight", "bias")},
        "up.weight": {1: [0, 1, 3]},
        "head.weight": {1: [0, 1, 3]},
    }
