from typing import get_args

import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.plan._finding import Code


def found(plan: tn.Plan, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> list[tuple[str, str]]:
    return [(finding.code, finding.parameter) for finding in plan.findings(model, optimizer)]


def sgd(model: nn.Module, **settings: float) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1, **settings)


PLAIN = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
NORMED = nn.Sequential(
    nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 2)
)
CASES = [
    ("no-match", {"fc.weight": tn.L2(1.0)}, PLAIN, [("no-match", "'fc.weight'")]),
    ("no-match", {nn.Conv2d: tn.L2(1.0)}, PLAIN, [("no-match", "Conv2d")]),
    ("claimed-twice", {"0.*t": tn.L2(1.0), "*0.weight": tn.L1(1.0)}, PLAIN, [("claimed-twice", "0.weight")]),
    ("decay-on-bias", {"2.bias": tn.WeightDecay(1.0)}, PLAIN, [("decay-on-bias", "2.bias")]),
    ("zero-strength", {"2.weight": tn.L1(0.0) + tn.L2(1.0)}, PLAIN, [("zero-strength", "2.weight")]),
    (
        "decay-on-norm",
        {"1.weight": tn.L2(1.0)},
        NORMED,
        [("dropout-before-norm", "3"), ("decay-on-norm", "1.weight")],
    ),
    (
        "scale-cancelled",
        {nn.Linear: tn.L2(1.0)},
        NORMED,
        [("dropout-before-norm", "3"), ("scale-cancelled", "0.weight")],
    ),
    ("dropout-before-norm", {"5.weight": tn.L2(1.0)}, NORMED, [("dropout-before-norm", "3")]),
]


@pytest.mark.parametrize(("code", "rules", "model", "expected"), CASES)
def test_each_finding_of_a_model_and_no_other(
    code: str, rules: dict[object, tn.Rule], model: nn.Module, expected: list[tuple[str, str]]
) -> None:
    assert found(tn.Plan(rules), model) == expected
    assert code in {c for c, _ in expected}


def test_every_code_has_its_case() -> None:
    of_the_optimizer = {"double-decay", "not-in-optimizer", "frozen"}
    assert {case[0] for case in CASES} | of_the_optimizer == set(get_args(Code))


def test_a_good_plan_has_no_findings() -> None:
    plan = tn.Plan({"*.weight": tn.L2(1e-4) + tn.L1(1e-5) + tn.MaxNorm(3.0)})
    assert found(plan, PLAIN, sgd(PLAIN)) == []


def test_l1_on_a_norm_is_a_method_and_no_finding() -> None:
    model = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2))
    assert found(tn.Plan({"1.weight": tn.L1(1.0), "0.weight": tn.L1(1.0)}), model) == []


@pytest.mark.parametrize("settings", [{"weight_decay": 0.1}])
def test_decay_of_the_optimizer_beside_the_plan(settings: dict[str, float]) -> None:
    assert found(tn.Plan({"0.weight": tn.L2(1.0)}), PLAIN, sgd(PLAIN, **settings)) == [("double-decay", "0.weight")]
    assert found(tn.Plan({"0.weight": tn.L1(1.0)}), PLAIN, sgd(PLAIN, **settings)) == []


def test_decay_of_another_group_of_the_optimizer_is_no_finding() -> None:
    optimizer = torch.optim.SGD(
        [{"params": PLAIN[0].parameters()}, {"params": PLAIN[2].parameters(), "weight_decay": 0.1}], lr=0.1
    )
    assert found(tn.Plan({"0.weight": tn.L2(1.0)}), PLAIN, optimizer) == []


def test_asgd_decays_under_another_name() -> None:
    optimizer = torch.optim.ASGD(PLAIN.parameters())
    (finding,) = tn.Plan({"0.weight": tn.L2(1.0)}).findings(PLAIN, optimizer)
    assert finding.remedy.startswith("Set lambd=0")


def test_a_parameter_that_the_optimizer_does_not_step() -> None:
    assert found(tn.Plan(tn.L2(1.0)), PLAIN, sgd(PLAIN[0])) == [("not-in-optimizer", "2.weight")]


def test_dropconnect_needs_no_optimizer_and_a_rate() -> None:
    assert found(tn.Plan(tn.DropConnect(0.5)), PLAIN, sgd(PLAIN[0])) == []
    both = found(tn.Plan(tn.DropConnect(0.5) + tn.MaxNorm(1.0)), PLAIN, sgd(PLAIN[0]))
    assert both == [("not-in-optimizer", "2.weight")]
    assert found(tn.Plan({"0.weight": tn.DropConnect(0.0)}), PLAIN) == [("zero-strength", "0.weight")]


def test_a_frozen_parameter() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    assert found(tn.Plan(tn.L2(1.0)), model) == [("frozen", "0.weight")]


def test_near_misses_are_named() -> None:
    (finding,) = tn.Plan({"encodr.weight": tn.L2(1.0)}).findings(nn.ModuleDict({"encoder": nn.Linear(2, 2)}))
    assert finding.remedy.startswith("Did you mean 'encoder.weight'")
    (finding,) = tn.Plan({nn.LSTM: tn.L2(1.0)}).findings(nn.ModuleDict({"encoder": nn.LSTMCell(2, 2)}))
    assert finding.remedy == "Did you mean 'LSTMCell'?"


def test_a_batch_norm_registered_behind_its_convolution_counts_outside_a_sequential() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.fc, self.ln = (
                nn.Conv2d(2, 3, 1),
                nn.BatchNorm2d(3),
                nn.Linear(3, 3),
                nn.LayerNorm(3),
            )

    assert found(tn.Plan(tn.L2(1.0)), nn.Sequential(Block())) == [("scale-cancelled", "0.conv.weight")]


def test_a_finding_reads_as_a_sentence() -> None:
    (finding,) = tn.Plan({"0.bias": tn.L2(1.0)}).findings(PLAIN)
    assert str(finding) == "0.bias: is a bias under L2(strength=1.0). Biases are best left alone: leave it out."
