import sys

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.compaction.analyze._inputs import Inputs

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
    assert {pin.where for pin in pins if pin.operation == "linear"} >= {"first (Linear) at test_trace.py:22"}


class Everything(nn.Module):
    """Operations that stay whole, composite ones that fall apart, and some in place."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.attention = nn.LSTM(4, 6, batch_first=True), nn.MultiheadAttention(6, 2, batch_first=True)
        self.convolution, self.batch = nn.Conv1d(6, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.norms = nn.ModuleList([nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.lstm(x)[0]
        x = self.attention(x, x, x, need_weights=False)[0]
        x = self.batch(self.convolution(x.transpose(1, 2))).relu_()
        x = self.norms[3](self.norms[2](x)).transpose(1, 2)
        x = nn.functional.pixel_shuffle((self.norms[1](self.norms[0](x)) @ x.mT).unfold(1, 2, 1).flatten(2)[:, None], 1)
        return nn.functional.interpolate(x, scale_factor=2).chunk(2, -1)[0].flatten(1).softmax(-1)


def test_the_quick_decomposition_is_the_one_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = Everything().eval(), Inputs.of(torch.randn(2, 5, 4), "test")
    quick = tracing.trace(model, inputs)
    assert tracing._quick_decomposition() is not None, "this version of torch has another decomposition"
    monkeypatch.setattr(tracing, "_quick_decomposition", lambda: None)
    by_torch = tracing.trace(model, inputs)
    assert str(quick.graph) == str(by_torch.graph)
    assert quick.graph is not by_torch.graph
    origins = [[str(tracing.origin(node)) for node in found.graph.nodes] for found in (quick, by_torch)]
    assert origins[0] == origins[1]
    assert {"lstm", "matmul", "layer_norm", "convolution"} <= {tracing.operation(node) for node in quick.graph.nodes}
