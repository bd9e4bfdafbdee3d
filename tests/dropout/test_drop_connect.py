import pytest
import torch

import thinnet as tn


def test_it_is_a_rule_that_adds_to_others_and_has_no_strength() -> None:
    rule = tn.DropConnect(0.25, seed=3)
    assert (rule + tn.L1(0.5)) * 2 == rule + tn.L1(1.0)
    assert rule * torch.tensor(3.0) == rule and rule.strength_fields == () and rule.grouping == "elements"
    assert repr(rule) == "DropConnect(p=0.25, seed=3)"
    assert rule == tn.DropConnect(0.25, 3) != tn.DropConnect(0.25)
    assert tn.DropConnect(1) == tn.DropConnect(1.0)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_rate_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=rf"`p` must be in \[0, 1\], got {p}"):
        tn.DropConnect(p)


@pytest.mark.parametrize("p", [True, "0.5", None, torch.tensor(0.5)])
def test_a_rate_of_another_kind_is_refused(p: object) -> None:
    with pytest.raises(TypeError, match="DropConnect: `p` must be a number, got"):
        tn.DropConnect(p)  # type: ignore[arg-type]


def test_a_seed_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="`seed` must be >= 0, got -1"):
        tn.DropConnect(0.5, seed=-1)
    with pytest.raises(TypeError, match=r"`seed` must be an integer or None, got 1\.5"):
        tn.DropConnect(0.5, seed=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`seed` must be an integer or None, got True"):
        tn.DropConnect(0.5, seed=True)
