"""An optimizer's parameters and state, shrunk with the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from thinnet.compact._shrink import Kept, sliced


def point_at(optimizer: Optimizer, model: nn.Module, small: nn.Module, kept: Kept) -> None:
    """Let an optimizer of `model` step `small`, which is smaller by `kept`, its state shrunk alike."""
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
