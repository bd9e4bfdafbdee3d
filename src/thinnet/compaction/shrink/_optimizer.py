"""Parameters and state of an optimizer, sliced as the model's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from thinnet.attachment import is_attached
from thinnet.compaction.analyze._slices import Kept, sliced
from thinnet.errors import NoEffectWarning


def check_optimizer(optimizer: Optimizer | None, model: nn.Module, what: str) -> None:
    """Refuse what is no optimizer of the model, or one whose state cannot shrink; `what` is for errors."""
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{what}: `optimizer` must be a torch.optim.Optimizer, got {type(optimizer).__name__}.")
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(f"{what}: `optimizer` steps no parameter of this model; give the model's own.")
    if isinstance(optimizer, LBFGS):
        raise ValueError(
            f"{what}: LBFGS keeps directions of all weights in one vector, which cannot shrink; leave it out here and "
            "make a new one of the smaller model's parameters."
        )


def point_at(optimizer: Optimizer, model: nn.Module, small: nn.Module, kept: Kept) -> None:
    """Let an optimizer of `model` step `small`, which is smaller by `kept`, its state shrunk alike."""
    if is_attached(optimizer):
        warnings.warn(
            "compact: a plan is attached to this optimizer and stays with the model of before; attachment.detach() and "
            "tn.attach(small, plan, optimizer) again, or take tn.compact_, which keeps it.",
            NoEffectWarning,
            stacklevel=3,
        )
    names = {id(p): name for name, p in model.named_parameters()}
    parameters = dict(small.named_parameters())
    shapes = {name: p.shape for name, p in model.named_parameters()}
    for group in optimizer.param_groups:
        for place, parameter in enumerate(group["params"]):
            name = names.get(id(parameter))
            if name is None:
                continue
            state = optimizer.state.pop(parameter, None)
            group["params"][place] = parameters[name]
            if state is not None:
                optimizer.state[parameters[name]] = shrunk_state(state, shapes[name], kept.get(name, {}))


def shrink_state_(optimizer: Optimizer, model: nn.Module, kept: Kept, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Shrink the state of parameters that shrank in place; `shapes` are theirs before."""
    for name, parameter in model.named_parameters():
        if name in kept and parameter in optimizer.state:
            optimizer.state[parameter] = shrunk_state(optimizer.state[parameter], shapes[name], kept[name])


def shrunk_state(state: Mapping[str, Any], shape: tuple[int, ...], dims: Mapping[int, Tensor]) -> dict[str, Any]:
    """One parameter's state: tensors lose the parameter's slices along each dimension whose length they share."""

    def shrink(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim != len(shape):
            return value  # a count of steps
        return sliced(value, {d: indices for d, indices in dims.items() if value.shape[d] == shape[d]})

    return {key: shrink(value) for key, value in state.items()}
