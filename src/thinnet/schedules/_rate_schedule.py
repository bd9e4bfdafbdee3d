"""Schedule of the dropout rates of a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from thinnet.dropout import ConcreteDropout, DropoutLayer, WeightMask, weight_masks
from thinnet.schedules._curves import Curve


@dataclass(frozen=True)
class Rate:
    """A dropout rate: its names, the attribute that holds it and its base value."""

    names: tuple[str, ...]
    holder: nn.Module | WeightMask
    attribute: str
    own: float

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    def set(self, value: float) -> None:
        """Change it."""
        setattr(self.holder, self.attribute, value)


class RateSchedule:
    r"""Scheduler that multiplies every dropout rate of a model by a factor of the number of steps.

    .. math:: p(t) = f(t) \cdot p

    Rates are those that the layers have when the schedule is made, and f(0) acts at once. It sets `p` of all layers of
    thinnet and torch, of a thinned model, and of the weights under `DropConnect` (make the schedule after `attach`),
    and the `dropout` of recurrent layers and `nn.MultiheadAttention`. Rates that are zero or learned
    (`ConcreteDropout`) are left alone.

    `torch.compile` compiles anew for rates that it has not met, and gives up after eight: say `levels=6`, for
    7 different factors.

    Args:
        model: any module.
        factor: f, of the number of steps: a curve of `tn.schedules` (`curriculum`, `linear_ramp`, `cosine_ramp`,
            `off_after`, `on_after`), or any function.
        on: a glob over the names of the modules (of the weights under `DropConnect`) whose rates are set.
        levels: round f to multiples of 1/levels; None does not.

    Raises:
        ValueError: nothing with a rate above zero matches `on`, `levels` is not positive, or f · p is outside [0, 1].

    Example:
        >>> import thinnet as tn
        >>> from torch import nn
        >>> model = nn.Sequential(tn.Dropout(0.5), nn.Linear(2, 2), nn.Dropout(0.2))
        >>> schedule = tn.RateSchedule(model, tn.schedules.linear_ramp(10))
        >>> for _ in range(5):
        ...     schedule.step()  # after optimizer.step()
        >>> schedule.rates()
        {'0': 0.25, '2': 0.1}
    """

    def __init__(self, model: nn.Module, factor: Curve, *, on: str = "*", levels: int | None = None) -> None:
        if levels is not None and not levels >= 1:
            raise ValueError(f"RateSchedule: `levels` must be >= 1 or None, got {levels}.")
        self.factor = factor
        self.levels = levels
        found = list(_found(model))
        self._rates = [rate for rate in found if any(fnmatchcase(name, on) for name in rate.names)]
        if not self._rates:
            names = ", ".join(repr(rate.name) for rate in found)
            raise ValueError(
                f"RateSchedule: no rate above zero at {on!r}: {type(model).__name__} has {names or 'none at all'} "
                "(learned rates are left alone)."
            )
        self._step = 0
        self._set()

    def step(self) -> None:
        """Advance one step: once an iteration, or once an epoch, in the unit that `factor` counts in."""
        self._step += 1
        self._set()

    def rates(self) -> dict[str, float]:
        """Return the current rates by name."""
        return {rate.name: float(getattr(rate.holder, rate.attribute)) for rate in self._rates}

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps and every base rate."""
        return {"step": self._step, "rates": {rate.name: rate.own for rate in self._rates}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned, and set the rates.

        Raises:
            ValueError: the state is of other layers.
        """
        names, known = [rate.name for rate in self._rates], list(state["rates"])
        if names != known:
            raise ValueError(f"RateSchedule.load_state_dict: the rates are those of {names}, got {known}.")
        own = state["rates"]
        self._rates = [Rate(rate.names, rate.holder, rate.attribute, own[rate.name]) for rate in self._rates]
        self._step = state["step"]
        self._set()

    def _set(self) -> None:
        factor = float(self.factor(self._step))
        if self.levels is not None and math.isfinite(factor):
            factor = round(factor * self.levels) / self.levels
        for rate in self._rates:
            if not 0 <= factor * rate.own <= 1:
                raise ValueError(
                    f"RateSchedule: at step {self._step} the factor {factor} makes the rate {factor * rate.own} of "
                    f"{rate.own} at {rate.name!r}; it must be in [0, 1]."
                )
        for rate in self._rates:
            rate.set(factor * rate.own)


def _found(model: nn.Module) -> Iterator[Rate]:
    """Every rate above zero that is not learned."""
    names: dict[int, list[str]] = {}
    modules = list(model.named_modules(remove_duplicate=False))
    for name, module in modules:
        names.setdefault(id(module), []).append(name)
    for module in {id(module): module for _, module in modules}.values():
        attribute = _attribute(module)
        if attribute and (own := float(getattr(module, attribute))):
            yield Rate(tuple(names[id(module)]), module, attribute, own)
    for name, mask in weight_masks(model).items():
        if mask.p:
            yield Rate((name,), mask, "p", mask.p)


def _attribute(module: nn.Module) -> str | None:
    """Where the module has its rate."""
    if isinstance(module, DropoutLayer | _DropoutNd):
        return None if isinstance(module, ConcreteDropout) else "p"
    return "dropout" if isinstance(module, nn.RNNBase | nn.MultiheadAttention) else None
