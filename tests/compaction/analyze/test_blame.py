"""The line of a model's own code that an error came through."""

import inspect

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._blame import Blame, blame


class Inner(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.ones(7)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity(), Inner()])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def error_of(x: Tensor, model: nn.Module) -> Exception:
    with pytest.raises(RuntimeError, match=r"size|shapes") as found:
        model(x)
    return found.value


def test_the_innermost_method_of_the_model_is_named() -> None:
    model = Outer()
    lines, first = inspect.getsourcelines(Inner.forward)
    place = blame(model, error_of(torch.ones(3), model))
    assert place == Blame("blocks.1", f"test_blame.py:{first + len(lines) - 1}")
    assert str(place) == f"blocks.1 at {place.line}"


def test_code_of_torch_is_not_the_models_own() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert blame(model, error_of(torch.ones(3), model)) == Blame("", "")


def test_a_module_of_another_model_is_not_blamed() -> None:
    error = error_of(torch.ones(3), Outer())
    assert blame(Outer(), error) == Blame("", "")
