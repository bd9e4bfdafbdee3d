"""Rows that are looked up by number."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Words(nn.Module):
    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.places = nn.Embedding(7, 6), nn.Embedding(9, 6)
        self.head = nn.Linear(6, 7, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.words(x) + self.places(torch.arange(x.shape[1])))


WORDS = torch.tensor([[1, 2, 3], [6, 0, 1]])


@torch.no_grad()
def test_a_feature_that_nobody_reads_goes(kept: Callable) -> None:
    model = Words()
    model.head.weight[:, [0, 3]] = 0
    assert kept(model, WORDS) == {f"{name}.weight": {1: [1, 2, 4, 5]} for name in ("words", "places", "head")}


@torch.no_grad()
def test_a_feature_that_is_zero_in_every_row_goes(kept: Callable) -> None:
    model = Words()
    model.words.weight[:, 3] = 0
    assert kept(model, WORDS) == {}
    model.places.weight[:, 3] = 0
    assert kept(model, WORDS) == {f"{name}.weight": {1: [0, 1, 2, 4, 5]} for name in ("words", "places", "head")}


@torch.no_grad()
def test_a_feature_that_is_zero_for_the_words_of_the_example_stays(kept: Callable) -> None:
    """Words 4 and 5 are not in the example."""
    model = Words()
    model.words.weight[[0, 1, 2, 3, 6], 3] = 0
    model.places.weight[:, 3] = 0
    assert kept(model, WORDS) == {}


@torch.no_grad()
def test_rows_stay_dead_or_not(kept: Callable, reasons: Callable) -> None:
    model = Words()
    model.words.weight[5] = 0
    assert kept(model, WORDS) == {}
    assert "embedding: is looked up by number" in reasons(model, WORDS)


@torch.no_grad()
def test_a_tied_table_is_one(kept: Callable) -> None:
    model = Words(tied=True)
    model.words.weight[:, 2] = 0
    model.places.weight[:, 2] = 0
    assert kept(model, WORDS) == {f"{name}.weight": {1: [0, 1, 3, 4, 5]} for name in ("words", "places")}


class Picked(nn.Module):
    """Rows of a hidden layer picked by what an input says, in one of three ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down, self.way = nn.Linear(3, 5), nn.Linear(5, 2), way

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        x = self.up(x)
        if self.way == "index":
            x = x[places]
        elif self.way == "select":
            x = x.index_select(0, places)
        else:
            x = x.gather(0, places[:, None].expand(-1, x.shape[1]))
        return self.down(x)


@torch.no_grad()
def test_picked_rows_keep_their_columns(kept: Callable) -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for way in ("index", "select"):
        model = Picked(way)
        model.down.weight[:, 2] = 0
        model.up.weight[4] = 0
        model.up.bias[4] = 0
        found = kept(model, x, torch.tensor([3, 0]))
        assert found == {
            "up.weight": {0: [0, 1, 3] if way == "select" else [0, 1, 3, 4]},
            "up.bias": {0: [0, 1, 3] if way == "select" else [0, 1, 3, 4]},
            "down.weight": {1: [0, 1, 3] if way == "select" else [0, 1, 3, 4]},
        }
