"""What penalties and decays share, on rules that no file of thinnet knows."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.penalties import Decay, WeightPenalty
from thinnet.penalties._base import total
from thinnet.rule import Acts, Strength


@dataclass(frozen=True, eq=False, repr=False)
class Quartic(WeightPenalty):
    """s/4 · Σ w⁴."""

    strength: Strength
    acts: ClassVar[Acts] = "gradient"

    def value(self, w: Tensor) -> Tensor:
        return self.strength * w.pow(4).sum() / 4

    def gradient(self, w: Tensor) -> Tensor:
        return self.strength * w.pow(3)

    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True, eq=False, repr=False)
class Counting(WeightPenalty):
    """s · the number of weights that are not zero: a proximal step that L1 does not have."""

    strength: Strength
    acts: ClassVar[Acts] = "prox"

    def value(self, w: Tensor) -> Tensor:
        return self.strength * (w != 0).sum().to(w.dtype)

    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        d = torch.ones_like(w) if metric is None else metric
        return torch.where(d * w.square() / 2 > step * self.strength, w, torch.zeros_like(w))


@dataclass(frozen=True, eq=False, repr=False)
class SquareRootDecay(Decay):
    """w ← w / sqrt(1 + lr · s)."""

    strength: Strength

    def shrink(self, w: Tensor, lr: Strength) -> Tensor:
        return w / (1 + lr * self.strength) ** 0.5


def stepped(rule: tn.Rule) -> tuple[Tensor, Tensor]:
    """The weights before and after one step of SGD of length 1/2 on a loss of slope 0."""
    model = nn.Linear(4, 3, bias=False).double()
    before = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    model.weight.data.copy_(before)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    tn.attach(model, tn.Plan(rule), optimizer)
    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()
    return before, model.weight.detach()


def test_a_new_smooth_penalty_acts_through_its_gradient() -> None:
    before, after = stepped(Quartic(0.4))
    assert Quartic(0.4).smooth and not Quartic(0.4).induces_zeros
    torch.testing.assert_close(after, before - 0.5 * 0.4 * before**3)


def test_a_new_penalty_that_is_not_smooth_acts_through_its_proximal_step() -> None:
    before, after = stepped(Counting(0.2))
    assert not Counting(0.2).smooth and Counting(0.2).induces_zeros and Counting(0.2).alive(before) is None
    assert torch.equal(after, torch.where(before.abs() > 0.2**0.5, before, 0.0))
    with pytest.raises(TypeError, match="Counting is not smooth: it acts through prox, not through a gradient"):
        Counting(0.2).gradient(before)


def test_a_new_decay_acts_beside_the_step() -> None:
    before, after = stepped(SquareRootDecay(0.5))
    torch.testing.assert_close(after, before / 1.25**0.5)


@pytest.mark.parametrize("kind", [Quartic, Counting, SquareRootDecay])
def test_strengths_must_be_finite(kind: type[tn.Rule]) -> None:
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: `strength` must be finite, got inf\.$"):
        kind(float("inf"))


def test_totals_keep_the_dimensions_of_the_stack() -> None:
    terms = torch.arange(24.0).reshape(2, 3, 4)
    assert total(terms, 0) == 276
    assert total(terms, 1).tolist() == [66.0, 210.0]
    assert total(terms, 2).tolist() == terms.sum(2).tolist()
