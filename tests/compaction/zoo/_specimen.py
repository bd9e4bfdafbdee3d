"""A network of the zoo, how it is called, and the comparison of two of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from ._structures import Units

Inputs = Tensor | tuple[Any, ...] | dict[str, Any]


@dataclass(frozen=True)
class Specimen:
    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[Generator, int], Inputs]  # of a batch of this size
    units: Callable[[nn.Module], list[Units]]

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The network in eval mode with seeded weights, none at its initial constant."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.build().eval()
        randomise(model, Generator().manual_seed(seed))
        return model.to(dtype)

    def example(self, seed: int = 0, batch: int = 2, dtype: torch.dtype = torch.float64) -> Inputs:
        inputs = self.inputs(Generator().manual_seed(seed), batch)
        if isinstance(inputs, Tensor):
            return _cast(inputs, dtype)
        if isinstance(inputs, dict):
            return {name: _cast(value, dtype) for name, value in inputs.items()}
        return tuple(_cast(value, dtype) for value in inputs)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


@torch.no_grad()
def randomise(model: nn.Module, generator: Generator) -> None:
    """Weights by their fan-in; noise on whatever is constant: biases, scales, shifts, tokens, running statistics."""
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(noise / parameter[0].numel() ** 0.5)
        elif parameter.numel() and parameter.min() == parameter.max():
            parameter.add_(0.3 * noise)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(0.3 * torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.mul_(torch.exp(0.3 * torch.randn(buffer.shape, generator=generator)))


class Wide(TorchFunctionMode):
    """Float64 where a forward asks for float32 by name, as RMS norms do, so that equality can be asked to 1e-9."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = Tensor.double if func is Tensor.float else func
        args = tuple(torch.float64 if arg is torch.float32 else arg for arg in args)
        kwargs = {key: torch.float64 if arg is torch.float32 else arg for key, arg in (kwargs or {}).items()}
        return func(*args, **kwargs)


def call(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Every floating tensor of the output, whatever holds it."""
    if isinstance(inputs, dict):
        return list(_tensors(model(**inputs)))
    return list(_tensors(model(inputs) if isinstance(inputs, Tensor) else model(*inputs)))


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping | tuple | list):
        for value in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(value)


def assert_equal(first: nn.Module, second: nn.Module, inputs: Inputs, tolerance: float = 1e-9) -> None:
    """Outputs alike to this tolerance, relative to the largest of each."""
    # in single precision the models compute as they would for anyone
    double = next(first.parameters()).dtype == torch.float64
    with Wide() if double else contextlib.nullcontext(), torch.no_grad():
        wanted, found = call(first, inputs), call(second, inputs)
    assert len(wanted) == len(found) > 0
    for one, other in zip(wanted, found, strict=True):
        assert one.isfinite().all()
        scale = max(float(one.abs().max()), 1.0)
        torch.testing.assert_close(other, one, rtol=0.0, atol=tolerance * scale)


def gradients(model: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    """The gradient of a fixed random combination of the outputs, by parameter."""
    generator = Generator().manual_seed(5)
    with Wide():
        outputs = call(model, inputs)
        cost = sum((out * torch.randn(out.shape, generator=generator).to(out)).sum() for out in outputs)
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        found = torch.autograd.grad(cost, list(named.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(named, found, strict=True) if gradient is not None}
