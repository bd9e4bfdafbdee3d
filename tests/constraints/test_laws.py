"""What every constraint promises. A public one that is not enrolled here fails the suite."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from thinnet import constraints
from thinnet.constraints import Constraint, MaxNorm, NonNegative, UnitNorm
from thinnet.rule import Rule, stack_rules


def rows(w: Tensor) -> Tensor:
    return w.flatten(1) if w.ndim > 1 else w[:, None]


@dataclass(frozen=True)
class Enrolled:
    rule: Constraint
    excess: Callable[[Tensor], Tensor]  # of float64 weights: 0 on the boundary, > 0 outside
    convex: bool = True


ENROLLED = [
    Enrolled(MaxNorm(1.5), lambda w: rows(w).norm(dim=1) - 1.5),
    Enrolled(MaxNorm(0.0), lambda w: rows(w).norm(dim=1)),
    Enrolled(UnitNorm(), lambda w: rows(w).norm(dim=1) - 1, convex=False),
    Enrolled(NonNegative(), lambda w: -w),
]


def name(e: Enrolled) -> str:
    return repr(e.rule)


of_all = pytest.mark.parametrize("e", ENROLLED, ids=name)
of_shapes = pytest.mark.parametrize("shape", [(4, 6), (3, 2, 3, 2), (5,), (300, 1000)], ids=str)
of_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_every_public_constraint_is_enrolled() -> None:
    public = [getattr(constraints, name) for name in constraints.__all__]
    concrete = {c for c in public if inspect.isclass(c) and issubclass(c, Rule) and not inspect.isabstract(c)}
    assert concrete == {type(e.rule) for e in ENROLLED}


@of_all
@of_shapes
@of_dtypes
def test_the_outcome_is_inside_and_stays_as_it_is(e: Enrolled, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    w = normal(*shape, dtype=dtype)
    once = e.rule.project(w)
    assert not torch.equal(once, w)
    assert (once.dtype, once.shape) == (dtype, w.shape)
    excess = e.excess(once.double())
    assert (excess if e.convex else excess.abs()).max() <= 2 * torch.finfo(dtype).eps + 1e-5 * (dtype.itemsize < 8)
    assert torch.equal(e.rule.project(once), once)


@settings(deadline=None)
@given(data=st.data())
@of_all
def test_projecting_again_changes_no_bit(e: Enrolled, data: st.DataObject) -> None:
    rows_, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 40))
    numbers = st.floats(-100, 100, width=32, allow_subnormal=False)
    w = torch.tensor(data.draw(st.lists(numbers, min_size=rows_ * columns, max_size=rows_ * columns)))
    once = e.rule.project(w.reshape(rows_, columns))
    assert torch.equal(e.rule.project(once), once)


@of_all
@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 1, 2)], ids=str)
def test_the_outcome_is_the_nearest_point(e: Enrolled, shape: tuple[int, ...]) -> None:
    w = 2 * normal(*shape)
    u = e.rule.project(w)
    if e.rule == MaxNorm(0.0):
        assert torch.equal(u, torch.zeros(shape, dtype=torch.float64))
        return

    def room(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        return -e.excess(torch.tensor(flat).reshape(shape)).flatten().numpy()

    goal = w.flatten().numpy()
    found = minimize(
        lambda flat: (((flat - goal) ** 2).sum(), 2 * (flat - goal)),
        (u + 0.05).flatten().numpy(),
        jac=True,
        method="SLSQP",
        constraints={"type": "ineq" if e.convex else "eq", "fun": room},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert room(found.x).min() > -1e-7
    torch.testing.assert_close(torch.tensor(found.x).reshape(shape), u, atol=1e-5, rtol=0)


@pytest.mark.parametrize("e", [e for e in ENROLLED if e.convex], ids=name)
def test_projections_onto_convex_sets_bring_points_nearer(e: Enrolled) -> None:
    a, b = 2 * normal(4, 6), 2 * normal(4, 6, seed=1)
    assert (e.rule.project(a) - e.rule.project(b)).norm() <= (a - b).norm()


@of_all
@of_dtypes
def test_a_stack_equals_its_members_alone(e: Enrolled, dtype: torch.dtype) -> None:
    for shape in ((4, 6), (3, 2, 3, 2), (5,)):
        strengths = [0.5, 1.0, 4.0] if e.rule.strength_fields else [None] * 3
        members = [replace(e.rule, **{field: x for field in e.rule.strength_fields}) for x in strengths]
        w = normal(3, *shape, dtype=dtype)
        alone = torch.stack([rule.project(w[k]) for k, rule in enumerate(members)])
        assert torch.equal(stack_rules(members).project(w), alone)


@of_all
def test_weights_are_left_alone(e: Enrolled) -> None:
    w = normal(4, 6)
    before = w.clone()
    e.rule.project(w)
    assert torch.equal(w, before)


@of_all
def test_no_nan_is_hidden_and_none_spreads_to_other_rows(e: Enrolled) -> None:
    w = normal(4, 6)
    clean = e.rule.project(w)
    w[2, 3] = torch.nan
    outcome = e.rule.project(w)
    assert outcome[2, 3].isnan()
    assert torch.equal(outcome[[0, 1, 3]], clean[[0, 1, 3]])


@of_all
def test_a_constraint_is_no_strength_to_scale(e: Enrolled) -> None:
    assert 2 * e.rule == e.rule * 2 == e.rule


@of_all
def test_settings_survive_json(e: Enrolled) -> None:
    assert type(e.rule)(**json.loads(json.dumps(e.rule.settings()))) == e.rule


@of_all
def test_weights_of_whole_numbers_are_refused(e: Enrolled) -> None:
    with pytest.raises(TypeError, match=r"floating-point weights, got torch\.int64"):
        e.rule.project(torch.ones(4, 6, dtype=torch.int64))
