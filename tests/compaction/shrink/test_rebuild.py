"""The compact shape on a model freshly built."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import thinnet as tn


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU()
        )
        self.norm, self.head = nn.GroupNorm(4, 8, affine=False), nn.Linear(8 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.features(x)).flatten(1))


@torch.no_grad()
def dense() -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    model[2].weight[:, [1, 2, 6]] = 0
    return model


@torch.no_grad()
def convolutional() -> nn.Module:
    model = Convolutional().eval()
    model.head.weight.view(3, 8, 16)[:, 2:4] = 0
    return model


CASES = [(dense, (5,)), (convolutional, (2, 6, 6))]


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_recipe_and_state_dict_through_files(
    make: Callable[[], nn.Module], shape: tuple[int, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, x = make(), torch.randn(2, *shape)
    small, report = tn.compact(model, x)
    assert report.removed
    (tmp_path / "recipe.json").write_text(json.dumps(report.recipe))
    save_file(small.state_dict(), tmp_path / "weights.safetensors")

    torch.manual_seed(1)
    fresh = make()
    before = copy.deepcopy(fresh.state_dict())
    again = tn.rebuild(fresh, json.loads((tmp_path / "recipe.json").read_text()))
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(again(x), small(x))
    assert repr(again) == repr(small)
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} of the fresh model was changed"


def test_the_rebuilt_model_trains() -> None:
    torch.manual_seed(0)
    model = convolutional()
    x = torch.randn(2, 2, 6, 6)
    small, report = tn.compact(model, x)
    again = tn.rebuild(convolutional(), report.recipe).train()
    optimizer = torch.optim.SGD(again.parameters(), lr=0.1)
    before = again.head.weight.detach().clone()
    again(x).square().sum().backward()
    optimizer.step()
    assert again.head.weight.shape == small.head.weight.shape
    assert not torch.equal(again.head.weight, before)


@pytest.fixture(scope="module")
def recipe() -> dict[str, object]:
    torch.manual_seed(0)
    return tn.compact(dense(), torch.randn(2, 5))[1].recipe


def test_another_version_is_refused(recipe: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs `report.recipe` of version 1, got 99"):
        tn.rebuild(dense(), {**recipe, "version": 99})
    with pytest.raises(ValueError, match=r"needs `report.recipe` of version 1, got Report"):
        tn.rebuild(dense(), tn.compact(dense(), torch.randn(2, 5))[1])


def test_another_model_is_refused(recipe: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"this model has no 2\.weight; the recipe is of another one"):
        tn.rebuild(nn.Sequential(nn.Linear(5, 8)), recipe)


def test_a_model_that_is_compact_already_is_refused(recipe: dict[str, object]) -> None:
    once = tn.rebuild(dense(), recipe)
    with pytest.raises(ValueError, match=r"0\.weight is \(5, 5\), but the recipe.*full size"):
        tn.rebuild(once, recipe)
