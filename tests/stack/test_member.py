import dataclasses

import pytest

import thinnet as tn


def test_a_member_is_its_settings() -> None:
    member = tn.Member(seed=3, lr=0.1, rule=tn.L1(0.5), inputs=(True, False))
    assert member == tn.Member(seed=3, lr=0.1, rule=member.rule, inputs=(True, False)) != tn.Member(seed=4)
    with pytest.raises(dataclasses.FrozenInstanceError, match="lr"):
        member.lr = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "label_smoothing"])
def test_rates_are_from_zero_to_below_one(name: str) -> None:
    assert getattr(tn.Member(**{name: 0.999}), name) == 0.999
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=rf"Member: `{name}` must be in \[0, 1\), got {rate}"):
            tn.Member(**{name: rate})


@pytest.mark.parametrize("lr", [0.0, -1.0, float("nan")])
def test_a_learning_rate_is_positive(lr: float) -> None:
    with pytest.raises(ValueError, match=f"Member: `lr` must be > 0, got {lr}"):
        tn.Member(lr=lr)
