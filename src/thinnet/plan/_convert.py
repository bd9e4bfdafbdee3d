"""Conversion of Keras regularizers and constraints and of torch's weight decay into rules, factors included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer

from thinnet.constraints import MaxNorm, NonNegative, UnitNorm
from thinnet.penalties import L1, L2, ElasticNet, WeightDecay
from thinnet.rule import Rule

_IN_THE_GRADIENT = ("SGD", "ASGD", "Adam", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop")
_BESIDE_THE_STEP = ("AdamW", "Adafactor", "Muon")


def from_keras(config: Mapping[str, Any]) -> Rule:
    r"""Convert a Keras regularizer or constraint of a dense or convolution kernel into the equal rule.

    Keras's L2 is :math:`l_2 \sum w^2`, `L2(s)` here is :math:`\frac{s}{2} \sum w^2`: the strength doubles. L1 and the
    bounds are alike.

    Args:
        config: what `keras.regularizers.serialize` or `keras.constraints.serialize` gives, as in a layer's
            `get_config()["kernel_regularizer"]`: `{"class_name": ..., "config": {...}}`.

    Returns:
        `L1`, `L2` or `ElasticNet`; `MaxNorm`, `UnitNorm` or `NonNegative`.

    Raises:
        ValueError: the class has no counterpart here, or a constraint has an axis other than the input's.
        TypeError: the config is no mapping of that form.

    Example:
        >>> from thinnet.plan import from_keras
        >>> from_keras({"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.25}})
        ElasticNet(l1=0.5, l2=0.5)
        >>> from_keras({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 0}})
        MaxNorm(limit=3.0)
    """
    if not isinstance(config, Mapping) or not {"class_name", "config"} <= config.keys():
        raise TypeError(
            f'from_keras: need {{"class_name": ..., "config": {{...}}}} as Keras serializes, got {config!r}.'
        )
    name, settings = config["class_name"], config["config"]
    if name not in _KERAS:
        raise ValueError(f"from_keras: {name} has no counterpart here; known are {', '.join(_KERAS)}.")
    try:
        return _KERAS[name](settings)
    except KeyError as error:
        raise ValueError(f"from_keras: {name} without its setting {error}, got {settings!r}.") from error


def from_torch(optimizer: Optimizer) -> tuple[Rule | None, ...]:
    """Convert the `weight_decay` of each parameter group of an optimizer into the equal rule; None where it is 0.

    `weight_decay=s` is `L2(s)` where torch adds s · w to the gradient (SGD, Adam, ...), and `WeightDecay(s)` where it
    shrinks the weights beside the step (AdamW, `decoupled_weight_decay=True`, ...); the factor is 1. Put the rules in a
    plan and set the optimizer's own `weight_decay` to 0, or the weights decay twice.

    Args:
        optimizer: one of `torch.optim`'s, or of a class derived from one.

    Raises:
        ValueError: an optimizer of another origin decays weights, and how it does is not known.

    Example:
        >>> import torch
        >>> from thinnet.plan import from_torch
        >>> weights = [torch.nn.Parameter(torch.ones(2, 2))]
        >>> from_torch(torch.optim.SGD(weights, lr=0.1, weight_decay=0.5))
        (L2(strength=0.5),)
        >>> from_torch(torch.optim.AdamW(weights, weight_decay=0.5))
        (WeightDecay(strength=0.5),)
    """
    return tuple(_decay_of(optimizer, group) for group in optimizer.param_groups)


def _decay_of(optimizer: Optimizer, group: Mapping[str, Any]) -> Rule | None:
    strength = float(group.get("weight_decay", 0.0))
    if strength == 0:
        return None
    origin = [cls.__name__ for cls in type(optimizer).__mro__ if cls.__module__.startswith("torch.optim")]
    if group.get("decoupled_weight_decay") or origin[0] in _BESIDE_THE_STEP:
        return WeightDecay(strength)
    if origin[0] in _IN_THE_GRADIENT:
        return L2(strength)
    raise ValueError(
        f"from_torch: how {type(optimizer).__name__} decays weights is not known; write L2({strength}) where it adds "
        f"weight_decay · w to the gradient, WeightDecay({strength}) where it shrinks the weights beside the step."
    )


def _l1l2(settings: Mapping[str, Any]) -> Rule:
    absolute, squared = float(settings["l1"]), 2 * float(settings["l2"])
    if not absolute:
        return L2(squared)
    return ElasticNet(absolute, squared) if squared else L1(absolute)


def _over_inputs(rule: Rule, settings: Mapping[str, Any]) -> Rule:
    """The rule, if the norm is over all of a kernel's dimensions but the last, which is Keras's output dimension."""
    axis = settings["axis"]
    if axis != 0 and (not isinstance(axis, list | tuple) or list(axis) != list(range(len(axis))) or not axis):
        raise ValueError(
            f"from_keras: {type(rule).__name__} here bounds what enters each output (axis 0 of a dense kernel, "
            f"[0, 1, 2] of a 2-d convolution's), got axis {axis!r}."
        )
    return rule


_KERAS: dict[str, Callable[[Mapping[str, Any]], Rule]] = {
    "L1": lambda settings: L1(settings["l1"]),
    "L2": lambda settings: L2(2 * settings["l2"]),
    "L1L2": _l1l2,
    "MaxNorm": lambda settings: _over_inputs(MaxNorm(settings["max_value"]), settings),
    "UnitNorm": lambda settings: _over_inputs(UnitNorm(), settings),
    "NonNeg": lambda settings: NonNegative(),
}
