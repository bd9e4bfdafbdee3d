"""Groups of inputs by number: the laws of one weight, beside groups that span parameters and a loop over blocks."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import thinnet as tn
from thinnet.penalties import CoupledGroupLasso, GroupLasso, group_lasso, group_lasso_prox
from thinnet.rule import stack_rules

BLOCKS = [7, 3, -1, 7, 0, 3, 7, -1, 5]
"""Neither sorted nor without gaps; 5 is alone."""
NUMBERS = [0, 3, 5, 7]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
of_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
of_shapes = pytest.mark.parametrize("shape", [(4, 9), (1, 9), (3, 9, 2, 2)], ids=str)
weighted_or_not = pytest.mark.parametrize("weighted", [False, True])


def rule(strength: float | Tensor = 0.2) -> GroupLasso:
    return GroupLasso(strength, by="inputs", blocks=BLOCKS)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def metric_of(w: Tensor, weighted: bool = True) -> Tensor | None:
    return torch.exp(2 * normal(*w.shape, seed=1)).to(w.dtype) if weighted else None


def of_block(w: Tensor, number: int) -> Tensor:
    return torch.cat([w[:, i].flatten() for i, its in enumerate(BLOCKS) if its == number])


def test_golden_value_and_step() -> None:
    w = torch.tensor([[3.0, 8.0, 0.0, 1.0], [0.0, 9.0, 4.0, -1.0]])
    penalty = GroupLasso(1.0, by="inputs", blocks=[2, -1, 2, 0])
    assert penalty.value(w).item() == pytest.approx(2 * 5 + math.sqrt(2) * math.sqrt(2))
    # the norm 5 meets the threshold 1.25 · 2, and sqrt(2) the threshold 1.25 · sqrt(2)
    assert penalty.prox(w, 1.25).tolist() == [[1.5, 8.0, 0.0, 0.0], [0.0, 9.0, 2.0, 0.0]]


@of_shapes
@weighted_or_not
def test_equals_groups_that_span_parameters(shape: tuple[int, ...], weighted: bool) -> None:
    w, step = normal(*shape), 0.5
    d = metric_of(w, weighted)
    spanning = CoupledGroupLasso(0.2, {"w": (1, BLOCKS)})
    torch.testing.assert_close(rule().value(w), spanning.value({"w": w}))
    stepped = spanning.prox({"w": w}, {"w": 1 / step if d is None else d / step})["w"]
    torch.testing.assert_close(rule().prox(w, step, d), stepped, rtol=1e-12, atol=1e-12)


@of_shapes
@weighted_or_not
@pytest.mark.parametrize("step", [0.1, 0.5, 2.0])
def test_every_block_is_where_its_conditions_say(shape: tuple[int, ...], weighted: bool, step: float) -> None:
    """0 ∈ D (u − z) + τ ∂‖u‖ in a loop over blocks, for τ = step · s · sqrt(size)."""
    z = normal(*shape)
    d = metric_of(z, weighted)
    stepped = rule().prox(z, step, d)
    for number in NUMBERS:
        u, before = of_block(stepped, number), of_block(z, number)
        pull = (before - u) * (1 if d is None else of_block(d, number))
        tau = step * 0.2 * math.sqrt(u.numel())
        if bool((u == 0).all()):
            assert pull.norm() <= tau
        else:
            torch.testing.assert_close(pull, tau * u / u.norm(), rtol=1e-9, atol=1e-12)
    assert torch.equal(of_block(stepped, -1), of_block(z, -1))


def test_some_blocks_leave_before_others() -> None:
    z = normal(4, 9) * torch.tensor([1.0, 0.1, 1.0, 1.0, 0.1, 0.1, 1.0, 1.0, 1.0], dtype=torch.float64)
    assert rule().alive(rule().prox(z, 1.0)).tolist() == [False, False, True, True]
    assert rule().alive(rule().prox(z, 10.0, torch.full_like(z, 10.0))).tolist() == [False, False, True, True]


@weighted_or_not
@pytest.mark.parametrize("shape", [(4, 9), (2, 4, 9)], ids=str)
def test_a_block_for_each_input_is_by_inputs(weighted: bool, shape: tuple[int, ...]) -> None:
    w = normal(*shape)
    d, strength = metric_of(w, weighted), 0.3 if len(shape) == 2 else torch.tensor([0.1, 0.4], dtype=torch.float64)
    columns, blocks = (GroupLasso(strength, by="inputs", blocks=which) for which in (None, range(9)))
    assert torch.equal(blocks.prox(w, 0.5, d), columns.prox(w, 0.5, d))
    assert torch.equal(blocks.value(w), columns.value(w))
    assert torch.equal(blocks.alive(w), columns.alive(w))


@of_shapes
@of_dtypes
@weighted_or_not
def test_a_stack_equals_its_members_alone(shape: tuple[int, ...], dtype: torch.dtype, weighted: bool) -> None:
    members = [rule() * factor for factor in (0.0, 0.7, 1.0, 30.0)]
    stacked, w = stack_rules(members), normal(4, *shape, dtype=dtype)
    d = metric_of(w, weighted)
    alone = torch.stack([r.prox(w[k], 0.5, None if d is None else d[k]) for k, r in enumerate(members)])
    assert torch.equal(stacked.prox(w, 0.5, d), alone)
    torch.testing.assert_close(stacked.value(w), torch.stack([r.value(w[k]) for k, r in enumerate(members)]))
    assert torch.equal(stacked.alive(alone), torch.stack([r.alive(u) for r, u in zip(members, alone, strict=True)]))


def test_a_stack_of_two_dimensions() -> None:
    w, strength = normal(2, 3, 4, 9), torch.rand(2, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    d = metric_of(w)
    stepped, values, alive = rule(strength).prox(w, 0.5, d), rule(strength).value(w), rule(strength).alive(w)
    assert (values.shape, alive.shape) == ((2, 3), (2, 3, 4))
    for i, j in np.ndindex(2, 3):
        assert torch.equal(stepped[i, j], rule(float(strength[i, j])).prox(w[i, j], 0.5, d[i, j]))
        torch.testing.assert_close(values[i, j], rule(float(strength[i, j])).value(w[i, j]))


def test_a_stack_of_steps_equals_its_members_alone() -> None:
    w, steps = normal(3, 4, 9), torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    assert torch.equal(rule().prox(w, steps), torch.stack([rule().prox(w[k], s) for k, s in enumerate(steps.tolist())]))


def test_a_stack_of_another_size_is_refused() -> None:
    for act in (rule(torch.ones(3)).value, lambda w: rule(torch.ones(3)).prox(w, 1.0)):
        with pytest.raises(ValueError, match=r"shape \(3,\) acts on a stack .* got weights \(2"):
            act(normal(2, 4, 9))


@of_dtypes
@weighted_or_not
def test_step_zero_or_strength_zero_changes_no_bit(dtype: torch.dtype, weighted: bool) -> None:
    w = normal(4, 9, dtype=dtype)
    w[:, 1], w[2] = 0, w[2] * 1e-30
    d = metric_of(w, weighted)
    assert torch.equal(rule().prox(w, 0.0, d), w)
    assert torch.equal(rule(0.0).prox(w, 1.0, d), w)


@weighted_or_not
def test_a_nan_stays_in_its_block(weighted: bool) -> None:
    w, d = normal(4, 9), metric_of(normal(4, 9), weighted)
    for spoiled, others in ((4, [3, 5, 7, -1]), (2, NUMBERS)):
        broken = w.clone()
        broken[1, spoiled] = torch.nan
        stepped, expected = rule().prox(broken, 0.3, d), rule().prox(w, 0.3, d)
        assert stepped[1, spoiled].isnan()
        for number in others:
            assert torch.equal(of_block(stepped, number), of_block(expected, number))
    assert torch.equal(stepped[:, 7], w[:, 7])  # in no block, as the spoiled one


def test_weights_metric_and_layout_are_left_alone() -> None:
    w, d = normal(4, 9), metric_of(normal(4, 9))
    before, d_before = w.clone(), d.clone()
    stepped, plain = rule().prox(w, 0.5, d), rule().prox(w, 0.5)
    assert torch.equal(w, before) and torch.equal(d, d_before)
    columns, d_columns = w.T.contiguous().T, d.T.contiguous().T
    torch.testing.assert_close(rule().prox(columns, 0.5, d_columns), stepped)
    torch.testing.assert_close(rule().prox(columns, 0.5), plain)


def test_the_values_gradient_pulls_live_blocks_and_no_other_weight() -> None:
    w = normal(4, 9)
    w[:, [1, 5]] = 0
    w.requires_grad_()
    rule().value(w).backward()
    for number in NUMBERS[2:]:
        u = of_block(w.detach(), number)
        torch.testing.assert_close(of_block(w.grad, number), 0.2 * math.sqrt(u.numel()) * u / u.norm())
    assert (of_block(w.grad, 3) == 0).all() and (of_block(w.grad, -1) == 0).all()
    live = normal(2, 4, 9).requires_grad_()
    assert torch.autograd.gradcheck(rule(torch.tensor([0.3, 0.7], dtype=torch.float64)).value, live)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_low_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    w = torch.full((100_000, 9), 0.5, dtype=dtype)
    torch.testing.assert_close(rule().value(w), rule().value(w.double()).float())
    stepped = rule().prox(torch.full((2, 9), 300.0, dtype=dtype), 1.0)  # 300² is beyond float16
    assert stepped.dtype == dtype and stepped.isfinite().all()


def test_the_order_of_inputs_and_the_names_of_blocks_do_not_matter() -> None:
    w, order = normal(4, 9), [4, 8, 0, 2, 6, 1, 7, 3, 5]
    moved = GroupLasso(0.2, by="inputs", blocks=[BLOCKS[i] for i in order])
    torch.testing.assert_close(moved.prox(w[:, order], 0.5), rule().prox(w, 0.5)[:, order])
    renamed = GroupLasso(0.2, by="inputs", blocks=[n if n < 0 else 100 - n for n in BLOCKS])
    torch.testing.assert_close(renamed.value(w), rule().value(w))
    assert renamed.alive(w * (torch.tensor(BLOCKS) == 0)).tolist() == [False, False, False, True]
    assert rule().alive(w * (torch.tensor(BLOCKS) == 0)).tolist() == [True, False, False, False]


def test_which_groups_are_alive() -> None:
    w = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert GroupLasso(1.0).alive(w).tolist() == [True, False]
    assert GroupLasso(1.0, by="inputs").alive(w).tolist() == [False, True, False]
    assert GroupLasso(1.0, by="inputs", blocks=[5, -1, 2]).alive(w).tolist() == [False, False]
    assert GroupLasso(torch.ones(2), by="inputs", blocks=[1, 0]).alive(
        torch.tensor([[[0.0, 1.0]], [[1.0, torch.nan]]])
    ).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("form", [tuple, np.array, torch.tensor, lambda n: torch.tensor(n, dtype=torch.int16)])
def test_blocks_may_come_in_any_form(form: object) -> None:
    assert GroupLasso(0.2, by="inputs", blocks=form(BLOCKS)) == rule()
    w = normal(4, 9)
    assert torch.equal(group_lasso(w, 0.2, by="inputs", blocks=form(BLOCKS)), rule().value(w))
    assert torch.equal(group_lasso_prox(w, 0.1, by="inputs", blocks=form(BLOCKS)), rule().prox(w, 0.5))


def test_blocks_do_not_change_with_what_they_came_from() -> None:
    given = torch.tensor(BLOCKS)
    penalty = GroupLasso(0.2, by="inputs", blocks=given)
    given.zero_()
    assert penalty == rule() and list(penalty.blocks) == BLOCKS


def test_blocks_of_inference_mode_train_outside_of_it() -> None:
    w = normal(4, 9)
    with torch.inference_mode():
        penalty = rule()
        expected = float(penalty.value(w))
    value = penalty.value(w.requires_grad_())
    value.backward()
    assert float(value.detach()) == expected and w.grad.norm() > 0


def test_a_factor_keeps_the_blocks() -> None:
    assert 2 * rule(0.2) == rule(0.4)
    assert rule(0.5) * torch.tensor([0.0, 2.0]) == rule(torch.tensor([0.0, 1.0]))
    assert replace(rule(), strength=1.0) == rule(1.0)


@pytest.mark.parametrize("strength", [0.2, torch.tensor([0.2, 0.4], dtype=torch.float64)], ids=str)
def test_plans_with_blocks_survive_json(strength: float | Tensor) -> None:
    plan = tn.Plan({"0.weight": rule(strength), "*": GroupLasso(1.0)})
    assert tn.Plan.from_json(plan.to_json()) == plan
    written = [entry["rules"][0] for entry in json.loads(plan.to_json())["entries"]]
    assert written[0]["blocks"] == BLOCKS and "blocks" not in written[1]
    with pytest.raises(ValueError, match=r"another kind .*`blocks` must be a list of whole numbers"):
        tn.Plan.from_json(plan.to_json().replace("-1", "-1.5"))
    with pytest.raises(ValueError, match=r"`blocks` must be >= 0, or -1 for none, got -2"):
        tn.Plan.from_json(plan.to_json().replace("-1", "-2"))


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([], TypeError, r"`blocks` must be a list of whole numbers, one for each input, got \[\]"),
        ([0.0, 1.0], TypeError, r"whole numbers, one for each input, got \[0\.0, 1\.0\]"),
        ([True, False], TypeError, r"whole numbers.*got \[True, False\]"),
        ([[0, 1]], TypeError, r"whole numbers.*got \[\[0, 1\]\]"),
        ([2**70], TypeError, "whole numbers.*got"),
        ("0011", TypeError, "whole numbers.*got '0011'"),
        (3, TypeError, "whole numbers.*got 3"),
        ([0, -2], ValueError, "must be >= 0, or -1 for none, got -2"),
        ([-1, -1], ValueError, r"`blocks` has no block: every input is in none \(-1\)"),
    ],
    ids=str,
)
def test_what_are_no_blocks_is_refused(blocks: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=rf"^GroupLasso: .*{message}"):
        GroupLasso(1.0, by="inputs", blocks=blocks)


def test_blocks_of_outputs_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^GroupLasso: `blocks` are groups of inputs: .*by=\"inputs\", got by='outputs'"
    ):
        GroupLasso(1.0, blocks=[0, 1])
    with pytest.raises(ValueError, match="`blocks` are groups of inputs"):
        group_lasso(torch.ones(2, 2), 1.0, blocks=[0, 1])
    with pytest.raises(ValueError, match=r'`by` must be "outputs" or "inputs", got \'rows\''):
        GroupLasso(1.0, by="rows", blocks=[0, 1])


def test_weights_of_another_number_of_inputs_are_refused() -> None:
    found = r"`blocks` has 9 numbers, one for each input, but {} of shape \({}\) has {} inputs; make the blocks again"
    for act in (rule().value, rule().alive, lambda w: rule().prox(w, 1.0), lambda w: rule().prox(w, 1.0, w)):
        with pytest.raises(ValueError, match=found.format("a weight", "9, 8", 8)):
            act(torch.ones(9, 8))
    with pytest.raises(ValueError, match=found.format("a weight", "2, 9, 8", 8)):
        rule(torch.ones(2)).value(torch.ones(2, 9, 8))
    with pytest.raises(ValueError, match=found.format(r"fc1\.weight", "9, 8", 8)):
        rule().check("fc1.weight", (9, 8))
    rule().check("fc1.weight", (4, 9))
    rule(torch.ones(2)).check("weights.0", (2, 4, 9))
    GroupLasso(1.0).check("fc1.weight", (9, 8))
    with pytest.raises(ValueError, match=r"by inputs needs weights of at least 2 dimensions, got shape \(9,\)"):
        rule().value(torch.ones(9))
