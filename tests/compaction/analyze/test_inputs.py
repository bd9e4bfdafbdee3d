"""Example inputs of every kind, and random ones like them."""

import pytest
import torch

from thinnet.compaction.analyze._inputs import Inputs


def test_every_kind_becomes_the_same_call() -> None:
    x, y = torch.ones(2), torch.zeros(3)
    calls = [Inputs.of(given, "f") for given in (x, (x, 3), [x, y], {"x": x, "k": {"y": y}})]
    assert [(len(c.args), list(c.kwargs)) for c in calls] == [(1, []), (2, []), (2, []), (0, ["x", "k"])]
    assert [[len(t) for t in c.tensors()] for c in calls] == [[2], [2], [2, 3], [2, 3]]


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ("x", TypeError, "f: `example_inputs` must be a tensor, a tuple .*, got str"),
        ((1, None), ValueError, "f: `example_inputs` holds no tensor"),
        ({}, ValueError, "f: `example_inputs` holds no tensor"),
    ],
)
def test_what_is_no_input_is_refused(given: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Inputs.of(given, "f")  # type: ignore[arg-type]


def test_random_inputs_have_the_moments_and_values_of_the_example() -> None:
    x = torch.arange(4000.0).reshape(40, 100)
    tokens, mask = torch.tensor([[3, 8, 8, 5]]), torch.tensor([True, False])
    given = Inputs.of((x, tokens, mask, 7, torch.full((3,), 2.0)), "f")
    one, again, other = given.random(0), given.random(0), given.random(1)
    assert one.args[3] == 7
    drawn = one.tensors()
    assert [(t.shape, t.dtype) for t in drawn] == [(t.shape, t.dtype) for t in given.tensors()]
    assert abs(float(drawn[0].mean()) - 1999.5) < 60
    assert abs(float(drawn[0].std()) / 1154.7 - 1) < 0.05
    assert set(drawn[1].flatten().tolist()) <= {3, 5, 8}
    assert set(drawn[2].tolist()) <= {True, False}
    assert float(drawn[3].std()) > 0  # a constant example is spread by one
    torch.testing.assert_close(again.tensors(), drawn, rtol=0, atol=0)
    assert not torch.equal(other.tensors()[0], drawn[0])


def test_what_is_not_finite_has_no_part_in_the_moments() -> None:
    x = torch.tensor([1.0, torch.inf, 3.0, torch.nan])
    assert bool(Inputs.of(x, "f").random(3).args[0].isfinite().all())
    assert Inputs.of(torch.zeros(0, dtype=torch.int64), "f").random(0).args[0].shape == (0,)


def test_only_floating_point_becomes_float64() -> None:
    given = Inputs.of((torch.ones(1), torch.ones(1, dtype=torch.int32)), "f").double()
    assert [t.dtype for t in given.tensors()] == [torch.float64, torch.int32]
