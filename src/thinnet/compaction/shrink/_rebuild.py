"""`rebuild`: give a freshly built model the shape of a compacted one, from its recipe."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._slices import tensor_of
from thinnet.compaction.shrink._recipe import VERSION
from thinnet.compaction.shrink._shrink import set_attributes, shrink_


def rebuild(fresh_model: nn.Module, recipe: Mapping[str, Any]) -> nn.Module:
    """Give a freshly built model the shape that `compact` gave another of its kind; then load the state dict into it.

    No pickle: the recipe is JSON, the weights are a state dict (safetensors).

    Args:
        fresh_model: the model as its constructor makes it, in its full size; it is not changed.
        recipe: `report.recipe`, or what `json.loads` gives of it.

    Returns:
        A copy in the compact shape. Its weights are the fresh model's own: load the compact model's state dict.

    Raises:
        ValueError: the recipe is of another version or of another model; the message names the parameter.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> def make():
        ...     return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
        >>> model, x = make(), torch.randn(5, 3)
        >>> with torch.no_grad():
        ...     _ = model[2].weight[:, 1:3].zero_()
        >>> small, report = tn.compact(model, x)
        >>> again = tn.rebuild(make(), report.recipe)
        >>> again.load_state_dict(small.state_dict())
        <All keys matched successfully>
        >>> torch.equal(again(x), small(x))
        True
    """
    model = copy.deepcopy(fresh_model)
    rebuild_(model, recipe)
    return model


def rebuild_(model: nn.Module, recipe: Mapping[str, Any]) -> dict[str, dict[int, Tensor]]:
    """The same in place, parameters staying the same objects; what was kept of each."""
    if not isinstance(recipe, Mapping) or recipe.get("version") != VERSION:
        raise ValueError(
            f"rebuild: needs `report.recipe` of version {VERSION}, got "
            f"{recipe.get('version') if isinstance(recipe, Mapping) else type(recipe).__name__}."
        )
    missing = [key for key in ("before", "kept", "attributes") if key not in recipe]
    if missing:
        raise ValueError(f"rebuild: the recipe lacks {', '.join(missing)}; it is no whole `report.recipe`.")
    kept = {
        name: {int(dim): torch.tensor(indices, dtype=torch.int64) for dim, indices in dims.items()}
        for name, dims in recipe["kept"].items()
    }
    for name in kept:
        try:
            shape = list(tensor_of(model, name).shape)
        except AttributeError as error:
            raise ValueError(f"rebuild: this model has no {name}; the recipe is of another one.") from error
        if shape != list(recipe["before"][name]):
            raise ValueError(
                f"rebuild: {name} is {tuple(shape)}, but the recipe is of a model in which it is "
                f"{tuple(recipe['before'][name])}; build it in its full size."
            )
    shrink_(model, kept, {})
    for path, values in recipe["attributes"].items():
        set_attributes(
            model.get_submodule(path), {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        )
    return kept
