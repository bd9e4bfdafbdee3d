"""Elements arranged anew: labels follow them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Moved(nn.Module):
    """A layer of six outputs, moved, and read by a layer of so many inputs."""

    def __init__(self, move: Callable[[Tensor], Tensor], reads: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.reader, self.move = nn.Linear(3, 6), nn.Linear(reads, 2), move

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.move(self.up(x)))


def without(*gone: int) -> dict[int, list[int]]:
    return {0: [i for i in range(6) if i not in gone]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("move", "column"),
    [
        (lambda x: x.flip(-1), 1),
        (lambda x: x[:, None].expand(-1, 3, -1).sum(1), 4),
        (lambda x: x.T.contiguous().T, 4),
        (lambda x: x.unflatten(-1, (-1, 1)).squeeze(-1), 4),
        (lambda x: x.unsqueeze(0).squeeze(0), 4),
    ],
)
@torch.no_grad()
def test_a_node_is_followed(kept: Callable, move: Callable[[Tensor], Tensor], column: int) -> None:
    model = Moved(move).double()
    model.reader.weight[:, column] = 0
    assert kept(model, normal(5, 3)) == {
        "up.weight": without(4),
        "up.bias": without(4),
        "reader.weight": {1: without(column)[0]},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "move",
    [
        lambda x: x.roll(1, -1),
        lambda x: F.pad(x, (1, 0))[:, :6],
        lambda x: x[:, [5, 4, 3, 2, 1, 0]],
        lambda x: x * x.select(-1, 4).unsqueeze(-1),
        lambda x: torch.stack(x.unbind(-1), -1),
    ],
)
@torch.no_grad()
def test_slices_taken_by_number_stay(kept: Callable, reasons: Callable, move: Callable[[Tensor], Tensor]) -> None:
    model = Moved(move).double()
    model.up.weight[4] = 0
    model.up.bias[4] = 0
    model.reader.weight[:, 1:] = 0
    assert "up.weight" not in kept(model, normal(5, 3))
    assert any("number" in reason or "pads" in reason for reason in reasons(model, normal(5, 3)))


@torch.no_grad()
def test_flattened_channels_are_blocks_of_columns(kept: Callable) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).double()
    model[3].weight[:, 4:8] = 0
    found = kept(model, normal(2, 2, 4, 4))
    assert found == {"0.weight": {0: [0, 2]}, "0.bias": {0: [0, 2]}, "3.weight": {1: [0, 1, 2, 3, 8, 9, 10, 11]}}


@torch.no_grad()
def test_a_part_of_a_block_is_no_block(kept: Callable) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2)).double()
    model[2].weight[:, 4:7] = 0
    assert kept(model, normal(2, 2, 4, 4)) == {}


@torch.no_grad()
def test_a_constant_channel_is_folded_pixel_by_pixel(kept: Callable) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(12, 2)).double()
    model[0].weight[1] = 0
    assert kept(model, normal(2, 2, 4, 4))["0.weight"] == {0: [0, 2]}


@torch.no_grad()
def test_halves_lose_as_many_each(kept: Callable) -> None:
    model = Moved(lambda x: F.silu(x.chunk(2, -1)[0]) + x.chunk(2, -1)[1].sum(-1, keepdim=True), reads=3).double()
    model.reader.weight[:, [0, 2]] = 0  # of the first half; all of the second is read
    assert kept(model, normal(5, 3)) == {}


@torch.no_grad()
def test_a_gated_half_goes_with_its_gate(kept: Callable) -> None:
    model = Moved(lambda x: F.glu(x, -1), reads=3).double()
    model.reader.weight[:, 1] = 0
    assert kept(model, normal(5, 3)) == {
        "up.weight": without(1, 4),
        "up.bias": without(1, 4),
        "reader.weight": {1: [0, 2]},
    }


@torch.no_grad()
def test_repeated_nodes_are_one(kept: Callable) -> None:
    model = Moved(lambda x: x.repeat(1, 2), reads=12).double()
    model.reader.weight[:, 1] = 0
    assert kept(model, normal(5, 3)) == {}
    model.reader.weight[:, 7] = 0
    assert kept(model, normal(5, 3))["reader.weight"] == {1: [0, 2, 3, 4, 5, 6, 8, 9, 10, 11]}


class Shuffled(nn.Module):
    """Groups of three channels, shuffled: channel c of 2 groups lies at 2 (c mod 3) + c // 3."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.reader = nn.Conv1d(2, 6, 1), nn.Conv1d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.up(x).unflatten(1, (-1, 3)).transpose(1, 2).flatten(1, 2))


@torch.no_grad()
def test_shuffled_channels(kept: Callable) -> None:
    model = Shuffled().double()
    model.reader.weight[:, [0, 2, 4]] = 0
    found = kept(model, normal(2, 2, 4))
    assert found == {"up.weight": {0: [3, 4, 5]}, "up.bias": {0: [3, 4, 5]}, "reader.weight": {1: [1, 3, 5]}}


@torch.no_grad()
def test_pixels_made_of_channels(kept: Callable) -> None:
    """Four channels make one of twice the size, and go together."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 12, 1), nn.PixelShuffle(2), nn.Conv2d(3, 2, 1)).double()
    model[2].weight[:, 1] = 0
    found = kept(model, normal(2, 2, 3, 3))
    assert found["0.weight"] == {0: [0, 1, 2, 3, 8, 9, 10, 11]}
    assert found["2.weight"] == {1: [0, 2]}
