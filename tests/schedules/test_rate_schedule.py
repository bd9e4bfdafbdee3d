import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

import thinnet as tn


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = tn.Dropout(0.5), nn.Dropout2d(0.5)
        self.again = self.a
        self.path, self.normal = tn.DropPath(0.5), tn.GaussianDropout(0.5)
        self.lstm, self.attention = nn.LSTM(2, 2, 2, dropout=0.5), nn.MultiheadAttention(2, 1, dropout=0.5)
        self.learned, self.none, self.fc = tn.ConcreteDropout(0.5), tn.Dropout(0.0), nn.Linear(2, 2)


def test_it_sets_every_kind_of_rate_once_and_leaves_learned_ones() -> None:
    model = Everything()
    plan = tn.Plan({"fc.weight": tn.DropConnect(0.5)})
    tn.attach(model, plan, torch.optim.SGD(model.parameters(), lr=0.1))
    schedule = tn.RateSchedule(model, lambda t: 0.5)
    assert schedule.rates() == dict.fromkeys(["a", "b", "path", "normal", "lstm", "attention", "fc.weight"], 0.25)
    assert (model.b.p, model.lstm.dropout, model.attention.dropout) == (0.25, 0.25, 0.25)
    assert model.learned.p == pytest.approx(0.5) and model.none.p == 0


def test_a_thinned_model_is_scheduled() -> None:
    model = tn.thin_(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 3)), p=0.5)
    schedule = tn.RateSchedule(model, tn.schedules.on_after(1))
    x = torch.ones(5, 4)
    model(x).sum().backward()
    assert bool((model[0].weight.grad != 0).all())
    model.zero_grad()
    schedule.step()
    model(x).sum().backward()
    assert int((model[0].weight.grad != 0).any(1).sum()) == 4


def test_what_it_sets_is_what_is_dropped() -> None:
    layer = tn.Dropout(0.5, generator=torch.Generator().manual_seed(0))
    schedule = tn.RateSchedule(layer, tn.schedules.linear_ramp(2))
    x, n = torch.ones(100_000), 100_000
    for p in (0.0, 0.25, 0.5):
        assert abs(float((layer(x) == 0).double().mean()) - p) <= 5 * math.sqrt(p * (1 - p) / n)
        schedule.step()


@pytest.mark.parametrize("on", ["blocks.*", "blocks.1", "same"])
def test_a_pattern_chooses_by_any_name(on: str) -> None:
    model = nn.ModuleDict({"head": tn.Dropout(0.5), "blocks": nn.ModuleList([nn.Linear(2, 2), tn.Dropout(0.5)])})
    model["same"] = model["blocks"][1]
    schedule = tn.RateSchedule(model, tn.schedules.on_after(1), on=on)
    assert list(schedule.rates()) == ["blocks.1"] and model["head"].p == 0.5 and model["same"].p == 0


def test_a_pattern_that_matches_no_rate_is_refused_with_those_that_are_there() -> None:
    model = nn.Sequential(tn.Dropout(0.5), tn.ConcreteDropout(0.5), nn.Dropout(0.0))
    with pytest.raises(ValueError, match=r"no rate above zero at '\[12\]': Sequential has '0' \(learned rates"):
        tn.RateSchedule(model, tn.schedules.on_after(1), on="[12]")
    with pytest.raises(ValueError, match="Linear has none at all"):
        tn.RateSchedule(nn.Linear(2, 2), tn.schedules.on_after(1))


def test_a_run_goes_on_from_its_state() -> None:
    def start() -> tuple[nn.Module, tn.RateSchedule]:
        model = nn.Sequential(tn.Dropout(0.5), nn.Dropout(0.2))
        return model, tn.RateSchedule(model, tn.schedules.curriculum(10))

    model, schedule = start()
    for _ in range(4):
        schedule.step()
    again, its_schedule = start()
    again[0].p = 0.9
    its_schedule.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert its_schedule.rates() == schedule.rates() and again[0].p == model[0].p > 0
    for each in (schedule, its_schedule):
        each.step()
    assert its_schedule.rates() == schedule.rates()
    with pytest.raises(ValueError, match=r"the rates are those of \['0', '1'\], got \['fc'\]"):
        schedule.load_state_dict({"step": 1, "rates": {"fc": 0.5}})


def test_levels_leave_few_rates() -> None:
    layer = tn.Dropout(0.5)
    schedule, seen = tn.RateSchedule(layer, tn.schedules.linear_ramp(100), levels=4), set()
    for _ in range(100):
        seen.add(layer.p)
        schedule.step()
    assert seen | {layer.p} == {0.0, 0.125, 0.25, 0.375, 0.5}


def test_with_levels_a_compiled_model_is_compiled_for_each_once() -> None:
    torch._dynamo.reset()
    graphs: list[object] = []

    def count(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    model = nn.Sequential(nn.Linear(8, 8), tn.Dropout(0.5))
    compiled = torch.compile(model, backend=count)
    schedule = tn.RateSchedule(model, tn.schedules.linear_ramp(40), levels=4)
    x = torch.ones(50, 8)
    for _ in range(40):
        compiled(x)
        schedule.step()
    assert 1 < len(graphs) <= 5
    assert bool((compiled(x) == 0).any())


@pytest.mark.parametrize("factor", [2.5, -1.0, math.nan, math.inf])
def test_a_factor_that_makes_no_rate_is_refused_and_sets_none(factor: float) -> None:
    model = nn.Sequential(tn.Dropout(0.1), tn.Dropout(0.5))
    schedule = tn.RateSchedule(model, lambda t: factor if t else 1.0)
    with pytest.raises(ValueError, match=r"at step 1 the factor .* of 0\.[15] at '[01]'; it must be in \[0, 1\]"):
        schedule.step()
    assert schedule.rates() == {"0": 0.1, "1": 0.5}
