"""Dropout that no module holds: found when it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

FUNCTIONS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)


class RefuseFunctionalDropout(TorchFunctionMode):
    """While entered, dropout called as a function with p > 0 and `training=False` is an error.

    A model that calls `F.dropout(x, p, self.training)` has no layer that could be put in training mode on its own.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in FUNCTIONS and kwargs.get("p") and not kwargs.get("training"):
            raise ValueError(
                f"mc_predict: the model calls torch.nn.functional.{func.__name__} (p={kwargs['p']}) itself, which "
                "cannot be put in training mode alone; use a tn.Dropout layer in its place."
            )
        return func(*args, **kwargs)
