"""Monte Carlo mode of a model: dropout is active and draws from samples' noise, all else is in eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from thinnet._random import LEVELS, apply_mask, threshold
from thinnet.dropout import Dropout, DropoutLayer, Noise, WeightMask, weight_masks
from thinnet.ensemble._functional import SampledFunctions
from thinnet.ensemble._noise import Block, SampleNoise, Source

_PLAIN = (Dropout, nn.Dropout)
"""Layers that are called so often that they are worth a way of their own."""

_DRAWING = (_DropoutNd, nn.RNNBase, nn.MultiheadAttention)
"""Modules of torch that call functions that drop."""

_FUSED = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
"""In eval mode, these may take a path without dropout."""


@dataclass
class Randomized:
    """State of a model while `randomized` is entered.

    Args:
        source: of all numbers.
        functions: the mode in which functions of torch draw.
        watched: whether there is code that may call them.
        compiled: whether a module is compiled, which it must not be while it draws.
        grouped: the dropout layers of thinnet that have groups of rows.
        masks: those on weights, and the noise of each.
    """

    source: Source
    functions: SampledFunctions
    watched: bool
    compiled: bool
    grouped: list[DropoutLayer]
    masks: list[tuple[WeightMask, SampleNoise]]
    _sample: int = -1

    def begin(self, block: Block) -> AbstractContextManager[object]:
        """What to enter for a forward pass."""
        self.source.begin(block)
        self.functions.begin()
        for layer in self.grouped:
            # one set of nodes for all rows of a sample, whatever the groups in training
            layer.groups = len(block.samples)  # type: ignore[assignment]
        if block.samples.start != self._sample:
            self._sample = block.samples.start
            for mask, noise in self.masks:
                mask.draw(noise)
        return self.functions if self.watched else nullcontext()


@contextmanager
def randomized(model: nn.Module, source: Source) -> Iterator[Randomized]:
    """Context in which dropout of every kind is active in a model and draws from `source`; all else is in eval mode.

    Raises:
        TypeError: if a module is scripted: its dropout cannot be reached.
    """
    modules = list(model.named_modules())
    if any(isinstance(module, torch.jit.ScriptModule) for _, module in modules):
        raise TypeError("mc_predict: the masks of a scripted module cannot be seeded; give the module it was made of.")
    dropping = {id(module) for _, module in modules if _drops(module)}
    ours = [(name, module) for name, module in modules if isinstance(module, DropoutLayer)]
    plain = [(name, module) for name, module in modules if type(module) in _PLAIN and "forward" not in vars(module)]
    on_weights = [(name, mask) for name, mask in weight_masks(model).items() if mask.p]
    names = [*dict.fromkeys(name for name, _ in (*ours, *plain)), *(name for name, _ in on_weights)]
    noise = {name: SampleNoise(source, name, index) for index, name in enumerate(names)}
    modes = [(module, module.training) for _, module in modules]
    grouped = [module for _, module in ours if isinstance(getattr(module, "groups", None), int)]
    groups = [(module, module.groups) for module in grouped]
    try:
        for _, module in modules:
            _set_mode(module, id(module) in dropping or (isinstance(module, _FUSED) and _any_in(module, dropping)))
        for name, module in ours:
            vars(module)["perturb"] = _perturb(module, noise[name])
        for name, module in plain:
            vars(module)["forward"] = _forward(module, noise[name])
        yield Randomized(
            source,
            SampledFunctions(SampleNoise(source, "torch.nn.functional", len(names))),
            not all(_is_known(module) for _, module in modules),
            any("_orig_mod" in module._modules for _, module in modules),
            grouped,
            [(mask, noise[name]) for name, mask in on_weights],
        )
    finally:
        for _, mask in on_weights:
            mask.release()
        for _, module in (*ours, *plain):
            vars(module).pop("perturb", None)
            vars(module).pop("forward", None)
        for module, count in groups:
            module.groups = count
        for module, mode in modes:
            _set_mode(module, mode)


def _set_mode(module: nn.Module, mode: bool) -> None:
    """Without the check that the value is no parameter, which costs more than a small layer."""
    if "training" in vars(module):
        vars(module)["training"] = mode
    else:
        module.training = mode


def _any_in(module: nn.Module, ids: set[int]) -> bool:
    return any(id(inner) in ids for inner in module.modules())


def _perturb(layer: DropoutLayer, noise: SampleNoise) -> Callable[[Tensor, Noise], Tensor]:
    """What the layer does, with noise of ours in the place of its own."""
    perturb = layer.perturb

    def perturb_by_sample(x: Tensor, _: Noise) -> Tensor:
        # all randomness comes from the noise, so that no function need be watched
        with torch._C.DisableTorchFunction():
            return perturb(x, noise)

    return perturb_by_sample


def _forward(layer: nn.Dropout | Dropout, noise: SampleNoise) -> Callable[[Tensor], Tensor]:
    """Plain dropout, without what watches functions."""
    t, inplace = threshold(float(layer.p)), layer.inplace

    def forward(x: Tensor) -> Tensor:
        if t == LEVELS:
            return x
        with torch._C.DisableTorchFunction():
            kept = noise.keep_below(x.shape, t, x.device)
            if x.dtype != torch.float32 or x.requires_grad:
                return apply_mask(x, kept, t, inplace=inplace)
            # fewer passes over memory than by way of the mask, which autograd would keep
            factors, scale = kept.view(torch.uint8).to(torch.float32), LEVELS / max(t, 1)
            return x.mul_(factors).mul_(scale) if inplace else torch.addcmul(x.new_zeros(()), x, factors, value=scale)

    return forward


def _drops(module: nn.Module) -> bool:
    """Whether the module itself, without its children, drops in training mode."""
    if isinstance(module, DropoutLayer | _DropoutNd):
        return True
    if isinstance(module, nn.RNNBase):
        return bool(module.dropout) and module.num_layers > 1
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout)
    # others' layers, such as a DropPath or a StochasticDepth: known by their name, and by having nothing to learn
    name = type(module).__name__.lower()
    return ("drop" in name or "stochasticdepth" in name) and not any(True for _ in module.parameters())


def _is_known(module: nn.Module) -> bool:
    """Whether nothing in the forward of a module, without its children, drops but what is randomized already."""
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    if isinstance(module, DropoutLayer) or "forward" in vars(module):
        return type(module) in _PLAIN or isinstance(module, DropoutLayer)
    return type(module).__module__.startswith("torch.nn.modules.") and not isinstance(module, _DRAWING)
