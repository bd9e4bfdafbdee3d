"""Preconditions of compaction: eval mode, one device, outputs that are finite and repeatable."""

from __future__ import annotations

import copy

import torch
from torch import nn

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.prove._compare import outputs_of, run
from thinnet.errors import NotCompactableError


def check(model: nn.Module, inputs: Inputs, what: str) -> None:
    """Refuse a model or inputs that nothing could be proven for; `what` names the function in errors."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{what}: `model` must be a torch.nn.Module, got {type(model).__name__}.")
    if model.training or any(module.training for module in model.modules()):
        name = next(n or type(m).__name__ for n, m in model.named_modules() if m.training)
        raise ValueError(
            f"{what}: {name} is in training mode, where outputs depend on the batch or on chance; call model.eval() "
            "first."
        )
    devices = {p.device for p in (*model.parameters(), *model.buffers())}
    strange = {t.device for t in inputs.tensors()} - devices
    if devices and strange:
        raise ValueError(
            f"{what}: the model is on {_names(devices)}, `example_inputs` on {_names(strange)}; move them: "
            "x.to(device)."
        )
    try:
        repeated = repeats(model, inputs)
    except Exception as error:
        raise ValueError(
            f"{what}: {type(model).__name__} does not run on `example_inputs` ({type(error).__name__}: {error})."
        ) from error
    if any(bool(out.isnan().any()) for out in run(model, inputs) if out.is_floating_point()):
        raise NotCompactableError(
            f"{what}: {type(model).__name__} returns NaN on `example_inputs`, so that nothing could be proven equal."
        )
    if not repeated:
        raise NotCompactableError(
            f"{what}: {type(model).__name__} returns something else each time it is called in eval mode, so that no "
            "smaller model could be proven equal; switch its randomness off first."
        )


def _names(devices: set[torch.device]) -> str:
    return " and ".join(sorted(map(str, devices)))


def repeats(model: nn.Module, inputs: Inputs) -> bool:
    """Whether the model returns the same twice, whatever the random generator."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = _outputs(model, inputs)
        torch.manual_seed(1)
        other = _outputs(copy.copy(model), inputs)
    return all(
        a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(one, other, strict=True)
    )


def _outputs(model: nn.Module, inputs: Inputs) -> list[torch.Tensor]:
    return [out.detach() for out in outputs_of(inputs.call(model))]
