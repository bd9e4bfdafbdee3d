"""Layers and dropouts that feed a normalization, as far as the module tree tells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import nn

from thinnet.plan._module_kinds import is_norm


def norms_after(model: nn.Module) -> dict[int, str]:
    """Map each weight, by identity, whose output goes straight into a normalization, to the normalization's name.

    Neighbours in a `Sequential` are known to feed each other. Elsewhere the order of registration is all there is, and
    only a batch normalization of as many features counts: a layer normalization there is often behind a sum.
    """
    found = {}
    for parent, first, name, second in _neighbours(model):
        weight = getattr(first, "weight", None)
        if not isinstance(weight, nn.Parameter) or weight.ndim < 2 or is_norm(first) or not is_norm(second):
            continue
        features = getattr(first, "out_channels", getattr(first, "out_features", None))
        batch = isinstance(second, nn.modules.batchnorm._NormBase) and second.num_features == features
        if isinstance(parent, nn.Sequential) or batch:
            found[id(weight)] = name
    return found


def dropouts_before_norm(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield each dropout that directly feeds a batch normalization in a `Sequential`, with the latter's name."""
    for parent, first, name, second in _neighbours(model):
        drops = isinstance(parent, nn.Sequential) and "Dropout" in type(first).__name__ and getattr(first, "p", 0) != 0
        if drops and isinstance(second, nn.modules.batchnorm._BatchNorm):
            yield next(n for n, module in model.named_modules() if module is first), name


def _neighbours(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module, str, nn.Module]]:
    """Every parent, a child, and the next child with its name from the root."""
    for prefix, parent in model.named_modules():
        children = list(parent.named_children())
        for (_, first), (name, second) in itertools.pairwise(children):
            yield parent, first, f"{prefix}.{name}" if prefix else name, second
