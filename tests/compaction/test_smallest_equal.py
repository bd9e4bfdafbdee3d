"""The search: what fails when it is run keeps its size, and the rest is removed."""

import copy

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.compaction._smallest_equal import _fix_more, search
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import FixedSizes
from thinnet.compaction.shrink._repair import Failure


class Sized(nn.Module):
    """A width of 4 is written in the code of `forward`; the layer behind it has none."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu().view(-1, 2, 2).flatten(1)
        return self.last(self.second(x).relu())


def test_a_size_in_the_code_is_kept_and_the_rest_removed() -> None:
    model = Sized().double().eval()
    with torch.no_grad():
        model.second.weight[:, 1] = 0
        model.last.weight[:, [0, 3]] = 0
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(6, 3, dtype=torch.float64)
    found = search(model, Inputs.of(x, "test"))
    assert (found.model.first.out_features, found.model.second.out_features) == (4, 3)
    assert found.proof.holds
    torch.testing.assert_close(found.model(x), model(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_more_sizes_are_kept_at_each_trial_until_all_are() -> None:
    model = nn.ModuleDict({"one": Own(), "two": Own(), "torch": nn.Linear(2, 2)})
    fixed: dict[str, FixedSizes] = {}
    failure = Failure("one", "model.py:3", "shape", 1)
    lengths = {"one": {4: 3}, "two": {4: 3}, "torch": {4: 3}}
    assert _fix_more(fixed, model, failure, {}, lengths)
    assert fixed == {"one": FixedSizes("a size is written in its code (model.py:3)")}
    assert _fix_more(fixed, model, failure, {}, lengths)
    assert fixed["one"].everything
    assert not _fix_more(fixed, model, failure, {}, lengths)
    assert _fix_more(fixed, model, None, {}, lengths)
    assert fixed["two"] == FixedSizes("outputs differed without it")


def test_a_model_that_is_never_equal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import thinnet.compaction._smallest_equal as module

    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        model[2].weight[:, 1] = 0
    failure = Failure("", "", "another output", 0)
    monkeypatch.setattr(module, "repair_", lambda *_: ({}, failure))
    with pytest.raises(tn.NotCompactableError, match=r"the smaller Sequential is not equal .*another output"):
        search(model, Inputs.of(torch.randn(2, 3), "test"))
