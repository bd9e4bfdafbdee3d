import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from thinnet.penalties import (
    L2,
    CoupledGroupLasso,
    GroupLasso,
    _group_sums,
    coupled_group_lasso,
    coupled_group_lasso_prox_,
    group_lasso_prox,
)
from thinnet.rule import stack_rules

# five groups, one of them in "fc" alone, numbered with gaps; "gain" is a vector, "conv" a kernel
MEMBERS = {
    "fc": (1, [7, -1, 0, 0, 3, 12, -1, 9]),
    "conv": (1, [0, 3, 7, -1]),
    "gain": (0, [9, 9, 0, -1, 7]),
    "out": (0, [-1, 3, 3]),
}
SHAPES = {"fc": (6, 8), "conv": (3, 4, 2, 2), "gain": (5,), "out": (3, 7)}
GROUPS = [0, 3, 7, 9, 12]
Weights = dict[str, Tensor]


def normal(seed: int = 0, dtype: torch.dtype = torch.float64) -> Weights:
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) for name, shape in SHAPES.items()}


def metrics(decades: float = 1.0, seed: int = 1, dtype: torch.dtype = torch.float64) -> Weights:
    """Each of its own scale, as that of optimizers is with learning rates of their own."""
    scales = {"fc": 10.0, "conv": 0.3, "gain": 1.0, "out": 300.0}
    return {name: (scales[name] * 10 ** (decades * w)).to(dtype) for name, w in normal(seed).items()}


def group(ws: Weights, number: int) -> Tensor:
    """All weights of a group, an index at a time."""
    return torch.cat(
        [
            ws[name].select(dim, index).flatten()
            for name, (dim, numbers) in MEMBERS.items()
            for index, its in enumerate(numbers)
            if its == number
        ]
    )


def no_group(ws: Weights) -> Tensor:
    return group(ws, -1)


def threshold(ws: Weights, ds: Weights) -> float:
    """A strength at which some groups go and some stay."""
    pulls = [float((group(ds, g) * group(ws, g)).norm()) / group(ws, g).numel() ** 0.5 for g in GROUPS]
    return sorted(pulls)[2] * 0.999


def test_golden_value_and_step() -> None:
    # 5 weights: (3, 4, 12, 0, 0) has norm 13, and the threshold is sqrt(5)
    rule = CoupledGroupLasso(math.sqrt(5), {"a": (1, [4, -1]), "b": (0, [4, 2])})
    ws = {"a": torch.tensor([[3.0, 7.0], [4.0, 7.0]]), "b": torch.tensor([[12.0, 0.0, 0.0], [1.0, 1.0, 1.0]])}
    assert rule.value(ws).item() == pytest.approx(5 * 13 + math.sqrt(5 * 3) * math.sqrt(3))
    stepped = rule.prox(ws, {"a": 1.0, "b": 1.0})
    torch.testing.assert_close(stepped["a"], torch.tensor([[3 * 8 / 13, 7.0], [4 * 8 / 13, 7.0]]))
    torch.testing.assert_close(stepped["b"], torch.tensor([[12 * 8 / 13, 0.0, 0.0], [0.0, 0.0, 0.0]]))


def test_golden_step_in_metrics_of_two_parameters() -> None:
    # the outcome (3, 4) has norm 5; with τ = 10 it comes from z = u + τ/D · u/5 = (3 + 6, 4 + 2)
    rule = CoupledGroupLasso(10 / math.sqrt(2), {"a": (0, [0]), "b": (0, [0])})
    ws = {"a": torch.tensor([9.0], dtype=torch.float64), "b": torch.tensor([6.0], dtype=torch.float64)}
    for ds in ({"a": 1.0, "b": 4.0}, {"a": torch.ones(1), "b": torch.full((1,), 4.0)}, {"a": 1, "b": torch.tensor(4)}):
        stepped = rule.prox(ws, ds)
        assert (stepped["a"].item(), stepped["b"].item()) == (pytest.approx(3, rel=1e-14), pytest.approx(4, rel=1e-14))


def test_value_is_that_of_the_groups_put_together_by_hand() -> None:
    ws = normal()
    expected = sum(0.3 * group(ws, g).numel() ** 0.5 * group(ws, g).norm() for g in GROUPS)
    torch.testing.assert_close(CoupledGroupLasso(0.3, MEMBERS).value(ws), expected)
    torch.testing.assert_close(coupled_group_lasso(ws, 0.3, MEMBERS), expected)


@pytest.mark.parametrize("decades", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)], ids=str)
def test_the_step_is_that_of_the_groups_put_together_by_hand(
    decades: float, dtype: torch.dtype, tolerance: float
) -> None:
    ws, ds = normal(dtype=dtype), metrics(decades, dtype=dtype)
    strength = threshold(ws, ds)
    stepped = CoupledGroupLasso(strength, MEMBERS).prox(ws, ds)
    gone = 0
    for g in GROUPS:
        z, d = group(ws, g).double(), group(ds, g).double()
        expected = group_lasso_prox(z[None], strength, d[None])[0]
        assert float((group(stepped, g).double() - expected).norm() / z.norm()) < tolerance
        assert bool((group(stepped, g) == 0).all()) == bool((expected == 0).all())
        gone += bool((expected == 0).all())
    assert 0 < gone < len(GROUPS)
    assert torch.equal(no_group(stepped), no_group(ws))


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["number", "0-d tensor"])
def test_a_constant_metric_beside_one_that_varies(kind: Callable[[float], Tensor | float]) -> None:
    ws, ds = normal(), metrics()
    ds["fc"], ds["gain"] = torch.full_like(ds["fc"], 3.0), torch.full_like(ds["gain"], 0.5)
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    short = rule.prox(ws, {**ds, "fc": kind(3.0), "gain": kind(0.5)})
    torch.testing.assert_close(short, rule.prox(ws, ds), rtol=1e-12, atol=1e-14)


def test_columns_of_one_parameter_are_the_group_lasso_of_its_inputs() -> None:
    w, d = normal()["fc"], metrics()["fc"]
    rule, inputs = CoupledGroupLasso(100.0, {"fc": (1, range(8))}), GroupLasso(100.0, by="inputs")
    torch.testing.assert_close(rule.value({"fc": w}), inputs.value(w))
    stepped = rule.prox({"fc": w}, {"fc": d})["fc"]
    torch.testing.assert_close(stepped, inputs.prox(w, 1.0, d), rtol=1e-12, atol=1e-14)
    assert 0 < int((stepped == 0).all(0).sum()) < 8


def test_the_step_meets_the_conditions_of_its_minimum() -> None:
    """D (u − w) + τ u/‖u‖ = 0 where a group stays, ‖D w‖ <= τ where it goes: D holds another learning rate for each."""
    ws, learning_rates = normal(), {"fc": 0.1, "conv": 3.0, "gain": 1.0, "out": 0.003}
    ds = {name: d / learning_rates[name] for name, d in metrics(0.5).items()}
    strength = threshold(ws, ds)
    us = CoupledGroupLasso(strength, MEMBERS).prox(ws, ds)
    for g in GROUPS:
        w, d, u = group(ws, g), group(ds, g), group(us, g)
        tau = strength * w.numel() ** 0.5
        if u.any():
            torch.testing.assert_close(d * (w - u), tau * u / u.norm(), rtol=1e-9, atol=1e-9)
        else:
            assert float((d * w).norm()) <= tau
    assert 0 < sum(bool(group(us, g).any()) for g in GROUPS) < len(GROUPS)


def test_no_neighbour_of_the_step_is_better() -> None:
    ws, ds = normal(), metrics(0.5)
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    us = rule.prox(ws, ds)

    def objective(vs: Weights) -> float:
        return float(sum((ds[n] * (vs[n] - ws[n]) ** 2).sum() / 2 for n in ws) + rule.value(vs))

    for seed in range(20):
        for scale in (1e-4, 1e-2, 1.0):
            away = normal(seed)
            vs = {name: us[name] + scale * away[name] for name in us}
            convex = sum(float((ds[name] * (vs[name] - us[name]) ** 2).sum()) / 2 for name in us)
            assert objective(vs) >= objective(us) + convex - 1e-9


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ws, ds = normal(), metrics()
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    whole = rule.prox(ws, ds)
    monkeypatch.setattr(_group_sums, "BLOCK", 1)
    torch.testing.assert_close(rule.prox(ws, ds), whole, rtol=1e-12, atol=1e-14)


def test_the_layout_in_memory_does_not_matter() -> None:
    ws, ds = normal(), metrics()
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    other = dict(ws)
    other["fc"] = ws["fc"].T.contiguous().T
    other["conv"] = ws["conv"].contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rule.prox(other, ds), rule.prox(ws, ds), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(rule.value(other), rule.value(ws))


def test_a_group_is_zero_exactly_from_its_threshold_on() -> None:
    # ‖D∘w‖ = 5 without rounding, by (3, 4) in two parameters, and sqrt(size) = 2
    ws = {"a": torch.tensor([1.5, 0.0]), "b": torch.tensor([[8.0], [0.0]])}
    ds = {"a": torch.tensor([2.0, 1.0]), "b": torch.tensor([[0.5], [3.0]])}
    rule = CoupledGroupLasso(2.5, {"a": (0, [0, 0]), "b": (0, [0, 0])})
    assert not any(w.any() for w in rule.prox(ws, ds).values())
    stepped = (rule * (1 - 1e-6)).prox(ws, ds)
    assert stepped["a"][0] > 0 and stepped["b"][0] > 0


@pytest.mark.parametrize("spoil", [math.nan, math.inf, 1e30, -0.0])
def test_weights_of_no_group_are_neither_touched_nor_seen(spoil: float) -> None:
    ws, ds = normal(dtype=torch.float32), metrics(dtype=torch.float32)
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    spoilt = {name: w.clone() for name, w in ws.items()}
    spoilt["fc"][:, 1] = spoil
    spoilt["out"][0] = spoil
    expected, stepped = rule.prox(ws, ds), rule.prox(spoilt, ds)
    bits, before = ({name: w.view(torch.int32) for name, w in ws.items()} for ws in (stepped, spoilt))
    assert torch.equal(no_group(bits), no_group(before))  # NaN and the sign of zero too
    for g in GROUPS:
        assert torch.equal(group(stepped, g), group(expected, g))
    assert torch.equal(rule.value(spoilt), rule.value(ws))


def test_what_is_not_given_counts_neither_by_norm_nor_by_size() -> None:
    ws, ds = normal(), metrics()
    part = {name: MEMBERS[name] for name in ("conv", "gain")}
    given = {name: ws[name] for name in part}
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    torch.testing.assert_close(rule.value(given), replace(rule, members=part).value(given))
    stepped = rule.prox(given, ds)
    assert stepped.keys() == part.keys()
    torch.testing.assert_close(stepped, replace(rule, members=part).prox(given, ds))


def test_autograds_slope_of_the_value_and_zero_at_a_group_of_zeros() -> None:
    ws = {name: w.requires_grad_() for name, w in normal().items()}
    with torch.no_grad():
        ws["fc"][:, 5] = 0  # group 12 is nowhere else
        ws["conv"][:, 1] = 0  # only a part of group 3
    CoupledGroupLasso(0.3, MEMBERS).value(ws).backward()
    slopes = {name: w.grad for name, w in ws.items()}
    for g in GROUPS:
        w = group(ws, g).detach()
        expected = 0.3 * w.numel() ** 0.5 * w / w.norm() if w.any() else w
        torch.testing.assert_close(group(slopes, g), expected)
    assert not no_group(slopes).any()


def test_value_passes_gradcheck() -> None:
    rule = CoupledGroupLasso(0.3, MEMBERS)
    inputs = [w.requires_grad_() for w in normal().values()]
    assert torch.autograd.gradcheck(lambda *ws: rule.value(dict(zip(SHAPES, ws, strict=True))), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_low_precision_is_worked_on_in_float32(dtype: torch.dtype) -> None:
    ws, ds = normal(dtype=dtype), metrics(0.3, dtype=torch.float32)
    rule = CoupledGroupLasso(threshold({n: w.double() for n, w in ws.items()}, ds), MEMBERS)
    stepped = rule.prox(ws, ds)
    better = rule.prox({name: w.float() for name, w in ws.items()}, ds)
    for name, u in stepped.items():
        assert u.dtype == dtype
        torch.testing.assert_close(u, better[name].to(dtype))
    large = {"fc": torch.full((1000, 8), 300.0, dtype=dtype)}  # 300² is beyond float16
    torch.testing.assert_close(rule.value(large), rule.value({"fc": large["fc"].double()}).float())


def test_parameters_of_different_precision_meet_in_the_widest() -> None:
    ws, ds = normal(), metrics(0.3)
    rule = CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    mixed = {**ws, "fc": ws["fc"].float(), "conv": ws["conv"].bfloat16()}
    stepped, exact = rule.prox(mixed, ds), rule.prox({name: w.double() for name, w in mixed.items()}, ds)
    for name, u in stepped.items():
        assert u.dtype == mixed[name].dtype
        torch.testing.assert_close(u, exact[name].to(u.dtype), rtol=2 * torch.finfo(u.dtype).eps, atol=1e-6)
    assert rule.value(mixed).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("constant", [False, True])
def test_strength_zero_changes_no_bit(dtype: torch.dtype, constant: bool) -> None:
    ws = normal(dtype=dtype)
    ws["fc"][:, 0], ws["fc"][:, 2] = 0, ws["fc"][:, 2] * 1e-30  # float32 squares of these underflow
    ds = dict.fromkeys(ws, 2.0) if constant else metrics(dtype=dtype)
    stepped = CoupledGroupLasso(0.0, MEMBERS).prox(ws, ds)
    assert all(torch.equal(stepped[name], ws[name]) for name in ws)


@pytest.mark.parametrize("constant", [False, True])
def test_the_step_hides_no_nan(constant: bool) -> None:
    ws = normal()
    ws["conv"][0, 1, 1, 0] = math.nan
    stepped = CoupledGroupLasso(0.1, MEMBERS).prox(ws, dict.fromkeys(ws, 2.0) if constant else metrics())
    assert stepped["conv"][0, 1, 1, 0].isnan()
    assert all(group(stepped, g).isfinite().all() for g in GROUPS if g != 3)


def test_prox_leaves_what_it_is_given_alone_and_prox_in_place_does_not() -> None:
    ws, ds = normal(), metrics()
    before, rule = copy.deepcopy((ws, ds)), CoupledGroupLasso(threshold(ws, ds), MEMBERS)
    stepped = rule.prox(ws, ds)
    torch.testing.assert_close((ws, ds), before, rtol=0, atol=0)
    rule.prox_(ws, ds)
    torch.testing.assert_close(ws, stepped, rtol=0, atol=0)
    torch.testing.assert_close(ds, before[1], rtol=0, atol=0)


def test_a_longer_step_is_a_larger_strength() -> None:
    ws, ds = normal(), metrics()
    rule = CoupledGroupLasso(threshold(ws, ds) / 2, MEMBERS)
    half = {name: d / 2 for name, d in ds.items()}
    torch.testing.assert_close((2 * rule).prox(ws, ds), rule.prox(ws, half), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close((rule * 2).value(ws), 2 * rule.value(ws))
    torch.testing.assert_close(rule.value({n: -3 * w for n, w in ws.items()}), 3 * rule.value(ws))
    functional = copy.deepcopy(ws)
    coupled_group_lasso_prox_(functional, 2 * rule.strength, MEMBERS, ds)
    assert all(torch.equal(u, (2 * rule).prox(ws, ds)[name]) for name, u in functional.items())


def test_group_numbers_come_as_any_sequence_of_whole_numbers() -> None:
    rule = CoupledGroupLasso(1.0, {"a": (0, [0, -1, 2])})
    for numbers in ((0, -1, 2), torch.tensor([0, -1, 2]), torch.tensor([0, -1, 2]).int(), np.array([0, -1, 2])):
        assert CoupledGroupLasso(1.0, {"a": (0, numbers)}) == rule
    assert CoupledGroupLasso(1.0, {"a": [0, [0, -1, 2]]}) == rule != CoupledGroupLasso(1.0, {"a": (0, [0, -1, 1])})


def test_settings_are_plain_and_survive_json_copies_and_pickles() -> None:
    rule = CoupledGroupLasso(0.5, MEMBERS)
    assert rule.settings()["members"]["conv"] == [1, [0, 3, 7, -1]]
    for again in (
        CoupledGroupLasso(**json.loads(json.dumps(rule.settings()))),
        copy.deepcopy(rule),
        pickle.loads(pickle.dumps(rule)),
    ):
        assert again == rule and hash(again) == hash(rule)
        assert torch.equal(again.value(normal()), rule.value(normal()))
    assert rule + L2(0.5) == CoupledGroupLasso(0.5, MEMBERS) + L2(0.5)
    assert rule * 2 == CoupledGroupLasso(1.0, MEMBERS) != rule


def test_copies_and_pickles_hold_nothing_of_another_device() -> None:
    rule = CoupledGroupLasso(0.5, MEMBERS)
    assert rule.members.slots("fc", torch.device("meta")).is_meta
    for again in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert again.members._slots.keys() == CoupledGroupLasso(0.5, MEMBERS).members._slots.keys()


def test_it_is_written_short() -> None:
    rule = CoupledGroupLasso(0.5, MEMBERS)
    assert repr(rule) == "CoupledGroupLasso(strength=0.5, members=<5 groups in 4 parameters>)"
    assert rule.grouping == "members" and not rule.smooth


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ([("a", 0)], TypeError, r"`members` must map names of parameters to \(dimension, group numbers\), got \[\('a'"),
        ({}, ValueError, "`members` has no group"),
        ({"a": (0, [-1, -1])}, ValueError, "`members` has no group: every index is in none"),
        ({0: (0, [1])}, TypeError, "must name parameters by strings, got 0"),
        ({"a": [0, 1, 2]}, TypeError, r"`members` of a must be \(dimension, group numbers\), got \[0, 1, 2\]"),
        ({"a": 3}, TypeError, r"`members` of a must be \(dimension, group numbers\), got 3"),
        ({"a": (-1, [0])}, TypeError, "the dimension of a must be a whole number >= 0, got -1"),
        ({"a": (True, [0])}, TypeError, "the dimension of a must be a whole number >= 0, got True"),
        ({"a": (0, [0.5])}, TypeError, r"the group numbers of a must be a list of whole numbers.*got \[0\.5\]"),
        ({"a": (0, ["x"])}, TypeError, "the group numbers of a must be a list of whole numbers"),
        ({"a": (0, [[0]])}, TypeError, "the group numbers of a must be a list of whole numbers"),
        ({"a": (0, [True])}, TypeError, "the group numbers of a must be a list of whole numbers"),
        ({"a": (0, 3)}, TypeError, "the group numbers of a must be a list of whole numbers"),
        ({"a": (0, [0, -2])}, ValueError, "the group numbers of a must be >= 0, or -1 for none, got -2"),
    ],
)
def test_members_of_another_form_are_refused_by_name(members: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^CoupledGroupLasso: .*{message}|^CoupledGroupLasso: {message}"):
        CoupledGroupLasso(1.0, members)


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
def test_a_strength_that_is_none_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^CoupledGroupLasso: `strength` must be (>= 0|finite), got"):
        CoupledGroupLasso(wrong, MEMBERS)


def test_stacks_are_refused_by_name() -> None:
    rule = CoupledGroupLasso(0.5, MEMBERS)
    refused = r"^CoupledGroupLasso: `strength` must be a number, got a tensor of shape \(2,\).*a rule of its own"
    for make in (
        lambda: replace(rule, strength=torch.ones(2)),
        lambda: rule * torch.ones(2),
        lambda: stack_rules([rule] * 2),
    ):
        with pytest.raises(TypeError, match=refused):
            make()


def test_other_parameters_are_refused_by_name() -> None:
    rule, ws = CoupledGroupLasso(0.5, MEMBERS), normal()
    for act in (rule.value, lambda w: rule.prox(w, dict.fromkeys(w, 1.0))):
        with pytest.raises(ValueError, match="bias is not in `members`, which names fc, conv, gain, out"):
            act({**ws, "bias": torch.ones(3)})
        with pytest.raises(
            ValueError, match=r"fc has shape \(6, 7\), but its members are 8 along dimension 1; make the"
        ):
            act({**ws, "fc": torch.ones(6, 7)})
        with pytest.raises(ValueError, match=r"conv has shape \(4,\), but its members are 4 along dimension 1"):
            act({"conv": torch.ones(4)})
        with pytest.raises(ValueError, match="no parameter given; `members` names fc, conv"):
            act({})
        with pytest.raises(TypeError, match=r"floating-point weights, got torch\.int64"):
            act({"gain": torch.ones(5, dtype=torch.int64)})
