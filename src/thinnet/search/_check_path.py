"""Checks of the arguments of `path`."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from torch import nn

from thinnet.plan import Plan
from thinnet.search._grid import Direction, checked
from thinnet.search._task import Loss, Settings, Varied


def check_functions(
    make_model: object, fit: object, evaluate: object, optimizer: object, polish: object, callback: object
) -> None:
    """Refuse what is no function; `fit`, `polish` and `callback` may be None.

    Raises:
        TypeError: one is no function, or is a module.
    """
    needed = {"make_model": make_model, "evaluate": evaluate, "optimizer": optimizer}
    optional = {"fit": fit, "polish": polish, "callback": callback}
    for name, function in {**needed, **optional}.items():
        absent = function is None and name in optional
        if not absent and (not callable(function) or isinstance(function, nn.Module)):
            raise TypeError(f"path: `{name}` must be a function, got {type(function).__name__}; wrap it in a lambda.")


def checked_settings(
    *,
    direction: Direction,
    strengths: Iterable[float] | None,
    n_strengths: int,
    eps: float,
    rounds: int,
    first_rounds: int,
    patience: int,
    refit: int,
    average: float,
) -> Settings:
    """The numbers as numbers of Python, which a checkpoint can hold.

    Raises:
        TypeError: a strength is no number.
        ValueError: a number is out of its range, or strengths are out of order.
    """
    counts: dict[str, tuple[Any, int]] = {
        "n_strengths": (n_strengths, 1),
        "rounds": (rounds, 1),
        "first_rounds": (first_rounds, 1),
        "patience": (patience, 1),
        "refit": (refit, 0),
    }
    for name, (value, least) in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"path: `{name}` must be a whole number >= {least}, got {value!r}.")
    if direction not in ("up", "down"):
        raise ValueError(f'path: `direction` must be "up" or "down", got {direction!r}.')
    if not 0 < eps < 1:
        raise ValueError(f"path: `eps` must be between 0 and 1, got {eps}.")
    span: Any = average
    if isinstance(span, bool) or not isinstance(span, Real) or not 0 <= float(span) <= rounds:
        raise ValueError(
            f"path: `average` must be a number of rounds from 0 to `rounds`, {rounds}, got {average!r}: a longer one "
            "would be of networks at other strengths."
        )
    return Settings(
        direction,
        None if strengths is None else checked(strengths, direction),
        int(n_strengths),
        float(eps),
        int(rounds),
        int(first_rounds),
        int(patience),
        int(refit),
        float(average),
    )


def check_plan(plan: Plan | Varied, settings: Settings, polish: Loss | None, compact: Any) -> None:
    """Refuse a plan whose strength cannot be varied in this way.

    Raises:
        TypeError: it is neither a plan nor a function.
        ValueError: it has no strength, or does not go with the other arguments.
    """
    if not isinstance(plan, Plan):
        if not callable(plan):
            raise TypeError(
                f"path: `plan` must be a tn.Plan or a function (model, value) -> Plan, got {plan!r}; wrap a rule or a "
                "mapping: tn.Plan(...)."
            )
        if settings.strengths is None:
            raise ValueError("path: a function as `plan` has no strength at which all is zero; give `strengths`.")
        if polish is not None or compact is not None:
            raise ValueError("path: `polish` and `compact` need a tn.Plan, whose strengths are scaled.")
        return
    varied = [
        part
        for _, rule in plan.entries
        for part in rule.parts()
        if part.acts not in ("projection", "mask") and part.has_effect
    ]
    if not varied:
        raise ValueError(
            f"path: nothing in {plan!r} has a strength to vary; give a penalty a strength of 1.0, or a function "
            "(model, value) -> Plan and `strengths`."
        )
    if compact is not None and settings.direction == "down":
        raise ValueError('path: `compact` removes what is zero, which direction="down" brings back; use "up".')
