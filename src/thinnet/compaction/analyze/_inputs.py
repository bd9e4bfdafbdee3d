"""Example inputs as a model is called with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

ExampleInputs = Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any]
"""A tensor, a tuple of arguments or a dict of keyword arguments."""


@dataclass(frozen=True)
class Inputs:
    """The arguments of one call of a model."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @classmethod
    def of(cls, example_inputs: ExampleInputs, what: str) -> Inputs:
        """The arguments behind what a user gives; `what` names the function in errors."""
        if isinstance(example_inputs, Tensor):
            return cls((example_inputs,), {})
        if isinstance(example_inputs, Mapping):
            inputs = cls((), dict(example_inputs))
        elif isinstance(example_inputs, tuple | list):
            inputs = cls(tuple(example_inputs), {})
        else:
            raise TypeError(
                f"{what}: `example_inputs` must be a tensor, a tuple of arguments or a dict of keyword arguments, got "
                f"{type(example_inputs).__name__}."
            )
        if not inputs.tensors():
            raise ValueError(
                f"{what}: `example_inputs` holds no tensor; give what the model is called with: compact(model, x)."
            )
        return inputs

    def tensors(self) -> list[Tensor]:
        """Every tensor among the arguments."""
        return [leaf for leaf in pytree.tree_leaves((self.args, dict(self.kwargs))) if isinstance(leaf, Tensor)]

    def map(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        """The same arguments with every tensor changed."""
        args, kwargs = pytree.tree_map_only(Tensor, change, (self.args, dict(self.kwargs)))
        return Inputs(args, kwargs)

    def call(self, model: nn.Module) -> Any:
        """What the model returns for them."""
        return model(*self.args, **self.kwargs)

    def double(self) -> Inputs:
        """The same in float64; integers and booleans as they are."""
        return self.map(lambda t: t.double() if t.is_floating_point() else t)

    def random(self, seed: int) -> Inputs:
        """Random inputs of the same shapes and dtypes.

        Floating-point tensors are drawn from a normal distribution of the example's mean and standard deviation,
        integers from those that the example holds, so that tokens stay in the vocabulary and masks stay masks.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(example: Tensor) -> Tensor:
            if example.is_floating_point():
                values = example.detach().double()
                finite = values[values.isfinite()]
                centre = float(finite.mean()) if finite.numel() else 0.0
                spread = float(finite.std(correction=0)) if finite.numel() else 0.0
                noise = torch.randn(example.shape, generator=generator, dtype=torch.float64)
                return (centre + (spread or 1.0) * noise).to(example)
            if example.numel() == 0:
                return example
            chosen = torch.randint(example.numel(), (example.numel(),), generator=generator)
            return example.detach().flatten()[chosen.to(example.device)].reshape(example.shape)

        return self.map(draw)
