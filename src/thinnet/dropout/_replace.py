"""Replacement of torch's dropout layers by thinnet's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

from torch import Generator, nn
from torch.nn.modules.dropout import _DropoutNd

from thinnet.dropout._alpha import AlphaDropout
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._channel import ChannelDropout
from thinnet.dropout._dropout import Dropout
from thinnet.errors import NoEffectWarning

OURS: dict[type[nn.Module], Callable[..., DropoutLayer]] = {
    nn.Dropout: Dropout,
    nn.Dropout1d: partial(ChannelDropout, dims=1),
    # it takes three dimensions for (N, C, L)
    nn.Dropout2d: ChannelDropout,
    nn.Dropout3d: partial(ChannelDropout, dims=3),
    nn.AlphaDropout: AlphaDropout,
    nn.FeatureAlphaDropout: partial(AlphaDropout, channels=True),
}
"""What each of torch's layers becomes."""


def replace_dropout_(model: nn.Module, *, generator: Generator | None = None) -> nn.Module:
    """Replace every dropout layer of torch in a model by thinnet's, in place.

    `Dropout` becomes `tn.Dropout`, `Dropout1d` to `Dropout3d` become `tn.ChannelDropout`, `AlphaDropout` and
    `FeatureAlphaDropout` become `tn.AlphaDropout`. Each layer stays the same object, of another class: its settings,
    mode, hooks and whatever holds a reference to it are kept, a layer that stands in several places is turned once, and
    the model itself may be one. The state dict does not change.

    What is no layer of its own stays torch's: `F.dropout` called in a `forward`, the dropout inside
    `nn.MultiheadAttention` and between the layers of a recurrent network.

    Args:
        model: any module.
        generator: source of all masks, on the device of the inputs; None is torch's default one.

    Returns:
        The model.

    Raises:
        ValueError: if a layer's p is outside [0, 1]; then nothing has changed.

    Warns:
        NoEffectWarning: a layer is left alone, because its class is derived from torch's and may do something else, or
            because its `forward` was replaced; or the model has no dropout layer at all.

    Example:
        >>> import thinnet as tn
        >>> from torch import nn
        >>> tn.replace_dropout_(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)))[1]
        Dropout(p=0.1, inplace=False)
        >>> isinstance(tn.replace_dropout_(nn.Dropout(0.1)), tn.Dropout)
        True
    """
    torchs = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, _DropoutNd)]
    known = [layer for _, layer in torchs if type(layer) in OURS and "forward" not in vars(layer)]
    # all are built before any is changed
    built = [OURS[type(layer)](layer.p, generator=generator) for layer in known]
    for layer, ours in zip(known, built, strict=True):
        vars(layer).update({**vars(ours), **vars(layer)})
        layer.__class__ = type(ours)  # type: ignore[assignment]  # a layer of another family, on purpose
    _warn(model, [f"{name!r} ({type(layer).__name__})" for name, layer in torchs if isinstance(layer, _DropoutNd)])
    return model


def _warn(model: nn.Module, left: list[str]) -> None:
    if left:
        warnings.warn(
            f"replace_dropout_: left alone: {', '.join(left)}; only torch's own classes are replaced, with their own "
            "forward. Put one of thinnet's layers there yourself.",
            NoEffectWarning,
            stacklevel=3,
        )
    elif not any(isinstance(layer, DropoutLayer) for layer in model.modules()):
        warnings.warn(
            f"replace_dropout_: {type(model).__name__} has no dropout layer: nothing is replaced (dropout that it "
            "calls as a function is not seen).",
            NoEffectWarning,
            stacklevel=3,
        )
