import sys

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

tracing = sys.modules["thinnet.compaction.analyze._trace"]


class Branches(nn.Module):
    """Keywords, a default, a shared layer, a submodule in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared = nn.Linear(4, 6), nn.Linear(6, 6)
        self.heads = nn.ModuleList([nn.Linear(6, 2), nn.Linear(6, 3)])

    def forward(self, x: Tensor, scale: float = 2.0, *, shift: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.first(x))
        x = torch.relu(self.shared(torch.relu(self.shared(x))))
        x = x if shift is None else x + shift
        return self.heads[0](x) * scale, self.heads[1](x)


class Chooses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else self.layer(-x)


@pytest.fixture
def model() -> Branches:
    torch.manual_seed(0)
    found = Branches().eval()
    with torch.no_grad():
        found.shared.weight[:, 3] = 0
        for head in found.heads:
            head.weight[:, 3] = 0
    return found


@pytest.mark.parametrize("how", tracing._TRACERS)
def test_every_tracer_finds_the_same(model: Branches, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_TRACERS", {how: tracing._TRACERS[how]})
    x = torch.randn(5, 4)
    small, report = tn.compact(model, {"x": x, "shift": torch.zeros(1)})
    assert report.how == how
    assert f"Traced by {how}." in str(report)
    assert small.first.out_features == small.shared.in_features == 5
    torch.testing.assert_close(small(x), model(x))


def test_what_cannot_be_traced_is_named_with_its_line() -> None:
    with pytest.raises(tn.NotCompactableError, match=r"compact: Chooses cannot be traced \(test_trace.py:\d+\)"):
        tn.compact(Chooses().eval(), torch.randn(3, 4))
    with pytest.raises(tn.NotCompactableError, match="compactable: Chooses cannot be traced"):
        tn.compactable(Chooses(), torch.randn(3, 4))


def test_a_failed_trace_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(tn.NotCompactableError, match="Chooses cannot be traced"):
        tn.compact(Chooses().eval(), torch.full((3, 4), 2.0))
    assert capfd.readouterr() == ("", "")


def test_origins_are_modules_and_lines(model: Branches) -> None:
    pins = tn.compactable(model, torch.randn(5, 4)).pinned
    assert {pin.where for pin in pins if pin.operation == "linear"} >= {"first (Linear) at test_trace.py:21"}
