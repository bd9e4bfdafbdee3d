import pytest
import torch
from torch import Tensor, nn

import thinnet as tn


class Odd(nn.Module):
    """A convolution whose channels are sorted: nothing of it can go."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(3, 6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x)).sort(-1).values
        return self.head(torch.relu(self.second(x)))


def test_rows_name_what_holds_the_rest() -> None:
    potential = tn.compactable(Odd(), torch.randn(4, 3))
    rows = {row.layer: row for row in potential.layers}
    assert (rows["first"].outputs, rows["first"].removable, rows["first"].groups) == (6, 0, 0)
    assert (rows["second"].outputs, rows["second"].removable, rows["second"].groups) == (8, 8, 8)
    assert rows["head"].removable == 0
    why = rows["first"].why
    assert why is not None and why.operation == "sort"
    assert "test_compactable.py" in why.where
    assert "sort in Odd at test_compactable.py" in str(potential)


def test_an_operation_without_a_rule_is_named() -> None:
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cdist(self.first(x), self.first(x) + 1))

    potential = tn.compactable(Unknown(), torch.randn(4, 3))
    pin = potential.layers[0].why
    assert pin is not None and pin.reason == "no rule for this operation"


def test_training_mode_is_kept_and_does_not_matter() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    before = model[1].running_mean.clone()
    potential = tn.compactable(model, torch.randn(5, 3))
    assert potential.layers[0].removable == 4
    assert model.training and model[2].training
    assert torch.equal(model[1].running_mean, before)


def test_grouped_structures_are_counted_once() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 2, 1))
    row = tn.compactable(model, torch.randn(2, 3, 4, 4)).layers[0]
    assert (row.outputs, row.removable, row.groups) == (8, 8, 4)


def test_a_model_is_needed() -> None:
    with pytest.raises(TypeError, match=r"compactable: `model` must be a torch.nn.Module, got function"):
        tn.compactable(lambda x: x, torch.randn(2))  # type: ignore[arg-type]
