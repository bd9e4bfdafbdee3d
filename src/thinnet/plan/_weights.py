"""The distinct weights of a model: tied ones once, reparametrized ones under the name of the effective weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from thinnet.plan._layout import Layout, layout_of
from thinnet.plan._module_kinds import is_bias, is_embedding, is_norm


@dataclass(frozen=True, eq=False)
class Place:
    """One place of a weight: its name from the root, its module and the attribute there."""

    name: str
    module: nn.Module
    attribute: str


@dataclass(frozen=True, eq=False)
class Weight:
    """A distinct weight of a model: its places, and the parameters behind it.

    Args:
        places: where it is; more than one when tied.
        parameters: the parameters behind it; more than one when reparametrized (weight norm has two).
        by: what computes it from `parameters`; None for a plain parameter.
    """

    places: tuple[Place, ...]
    parameters: tuple[nn.Parameter, ...]
    by: str | None = None

    @property
    def name(self) -> str:
        """The name of its first place."""
        return self.places[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its places."""
        return tuple(place.name for place in self.places)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The distinct layouts of its places."""
        return tuple(dict.fromkeys(layout_of(place.module) for place in self.places))

    def value(self) -> Tensor:
        """The weight that the forward pass uses, differentiable."""
        place = self.places[0]
        return self.parameters[0] if self.by is None else getattr(place.module, place.attribute)

    def in_a_norm(self) -> bool:
        """Whether a normalization owns it."""
        return any(is_norm(place.module) for place in self.places)

    def is_bias(self) -> bool:
        """Whether it is a bias."""
        return any(is_bias(place.attribute) for place in self.places)

    def of_a_layer(self) -> bool:
        """Whether it is a weight matrix or kernel: what `Plan(rule)` governs."""
        return any(
            "weight" in place.attribute
            and not is_bias(place.attribute)
            and not is_norm(place.module)
            and not is_embedding(place.module)
            and max(p.ndim for p in self.parameters) >= 2
            for place in self.places
        )


def unwrap(model: nn.Module) -> nn.Module:
    """Unwrap a model from `torch.compile`, DistributedDataParallel and DataParallel, so that names are the user's."""
    inner = getattr(model, "_orig_mod", None)
    if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = model.module
    return unwrap(inner) if isinstance(inner, nn.Module) else model


def weights(model: nn.Module) -> tuple[Weight, ...]:
    """List the distinct weights of `model`, in the order of `named_parameters`."""
    found: dict[int, Weight] = {}
    for place, parameters, by in _places(unwrap(model)):
        if not parameters:
            continue
        for parameter in parameters:
            if is_lazy(parameter):
                raise ValueError(f"{place.name}: not initialized yet; run one forward pass before making bindings.")
        known = found.get(id(parameters[0]))
        places = (place,) if known is None else (*known.places, place)
        found[id(parameters[0])] = Weight(places, parameters, by)
    return tuple(found.values())


def _places(model: nn.Module) -> Iterator[tuple[Place, tuple[nn.Parameter, ...], str | None]]:
    for prefix, module in model.named_modules(remove_duplicate=False):
        dot = f"{prefix}." if prefix else ""
        if isinstance(module, parametrize.ParametrizationList):
            continue
        hooked = _hooked(module)
        for attribute, by in hooked.items():
            behind = [p for n, p in module.named_parameters(recurse=False) if n.rpartition("_")[0] == attribute]
            yield Place(dot + attribute, module, attribute), tuple(behind), by
        if parametrize.is_parametrized(module):
            lists = module.parametrizations
            assert isinstance(lists, nn.ModuleDict)
            for attribute, chain in lists.items():
                by = "parametrized by " + ", ".join(type(step).__name__.lstrip("_") for step in chain.children())
                yield Place(dot + attribute, module, attribute), tuple(chain.parameters(recurse=False)), by
        for attribute, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if attribute.rpartition("_")[0] not in hooked:
                yield Place(dot + attribute, module, attribute), (parameter,), None


def _hooked(module: nn.Module) -> dict[str, str]:
    """Find attributes that a forward hook of torch.nn.utils computes, with a description of the hook."""
    found = {}
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm | SpectralNorm):
            found[hook.name] = f"computed by a {type(hook).__name__} hook"
        elif isinstance(hook, BasePruningMethod):
            found[hook._tensor_name] = f"computed by a {type(hook).__name__} pruning hook"
    return found
