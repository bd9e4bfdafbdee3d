"""The report, against counts by hand."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.compaction import Report


@pytest.fixture(scope="module")
def report() -> Report:
    """784-style layers in small: 6-10-8-3, of which 4 and 2 nodes are dead."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with torch.no_grad():
        model[2].weight[:, [0, 4, 5, 9]] = 0
        model[4].weight[:, [1, 2]] = 0
    return tn.compact(model, torch.randn(5, 6))[1]


def test_parameters_by_hand(report: Report) -> None:
    before = 6 * 10 + 10 + 10 * 8 + 8 + 8 * 3 + 3
    after = 6 * 6 + 6 + 6 * 6 + 6 + 6 * 3 + 3
    assert report.parameters == (before, after)
    assert (report.before.size, report.after.size) == (4 * before, 4 * after)


def test_operations_by_hand(report: Report) -> None:
    """Two for each weight and row: a multiplication and an addition."""
    assert report.before.flops == 2 * 5 * (6 * 10 + 10 * 8 + 8 * 3)
    assert report.after.flops == 2 * 5 * (6 * 6 + 6 * 6 + 6 * 3)


def test_layers(report: Report) -> None:
    assert [(layer.name, layer.kind, layer.before, layer.after) for layer in report.layers] == [
        ("0", "Linear", (10, 6), (6, 6)),
        ("2", "Linear", (8, 10), (6, 6)),
        ("4", "Linear", (3, 8), (3, 6)),
    ]


def test_removed(report: Report) -> None:
    assert report.removed == {
        "0.weight": {0: 4},
        "0.bias": {0: 4},
        "2.weight": {0: 2, 1: 4},
        "2.bias": {0: 2},
        "4.weight": {1: 2},
    }


def test_pinned_counts_slices(report: Report) -> None:
    """6 columns that read the input; 3 rows and 3 biases that are the output."""
    counts = {pin.operation: (pin.reason, count) for pin, count in report.pinned.items()}
    assert counts == {
        "linear": ("takes an input of fixed width", 6),
        "output": ("the model returns it", 6),
    }


def test_recipe_is_json_of_what_stays(report: Report) -> None:
    recipe = json.loads(json.dumps(report.recipe))
    assert recipe == report.recipe
    assert recipe["kept"]["2.weight"] == {"0": [0, 3, 4, 5, 6, 7], "1": [1, 2, 3, 6, 7, 8]}
    assert recipe["attributes"]["2"] == {"in_features": 6, "out_features": 6}


def test_prints_as_a_table(report: Report) -> None:
    lines = str(report).splitlines()
    assert lines[0].split() == ["layer", "kind", "before", "after"]
    assert lines[2].split() == ["2", "Linear", "8x10", "6x6"]
    assert ["parameters", "185", "105", "0.57"] in [line.split() for line in lines]
    assert "Traced by torch.export" in str(report)
    assert "linear in 0 (Linear)" in str(report)
    assert repr(report) == str(report)


def test_times_are_measured(report: Report) -> None:
    assert all(seconds > 0 for seconds in report.latency)


def test_proof_is_told(report: Report) -> None:
    assert report.proof.holds
    assert report.proof.outputs.size <= 1e-6


def test_nothing_removed_says_so() -> None:
    torch.manual_seed(0)
    _, report = tn.compact(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval(), torch.randn(2, 3))
    assert report.removed == {}
    assert report.layers == ()
    assert report.parameters == (26, 26)
    assert str(report).startswith("Nothing was removed: no structure is always zero, or those that are")


def test_tied_weights_count_once() -> None:
    torch.manual_seed(0)

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(x))

    model = Tied().eval()
    with torch.no_grad():
        model.embedding.weight[:, 1] = 0
    small, report = tn.compact(model, torch.tensor([[1, 2]]))
    assert report.parameters == (28, 21)
    assert small.head.weight is small.embedding.weight
