"""The masks that DropConnect puts on the weights of a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import nn

from thinnet.dropout import DropConnect, WeightMask
from thinnet.errors import NoEffectWarning
from thinnet.plan import Binding


@dataclass(frozen=True, eq=False)
class Connection:
    """A mask, the weight that it is on, and the module whose forward it is on for.

    Args:
        name: the weight's, at the place of the mask.
        binding: the weight and its rules.
        module: whose forward uses the weight.
        mask: what is put on it.
    """

    name: str
    binding: Binding
    module: nn.Module
    mask: WeightMask


class Connections:
    """Every mask of an attachment, one for each place of each weight under DropConnect.

    Raises:
        ValueError: the weight cannot be masked where it is, by name.
    """

    def __init__(self, model: nn.Module, bindings: Iterable[Binding]) -> None:
        self._all = tuple(_connections(bindings, _readers(model)))
        self._unproven = list(self._all)

    def put_on(self) -> None:
        """Put every mask on its module."""
        for connection in self._all:
            connection.mask.put_on(connection.module)

    def take_off(self) -> None:
        """Take every mask off its module."""
        for connection in self._all:
            connection.mask.take_off(connection.module)

    def rebind(self, bindings: Mapping[int, Binding]) -> None:
        """Replace the bindings of the same weights, by the identity of the old ones."""
        others = {id(c): replace(c, binding=bindings[id(c.binding)]) for c in self._all}
        self._all = tuple(others[id(c)] for c in self._all)
        self._unproven = [others[id(c)] for c in self._unproven]

    def state_dict(self) -> dict[str, int]:
        """Return how many masks were drawn from each seed."""
        return {c.name: c.mask.calls for c in self._all if c.mask.seed is not None}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue after the masks that were drawn."""
        for connection in self._all:
            connection.mask.calls = state.get(connection.name, connection.mask.calls)

    def watch(self, stepped: Iterable[Binding]) -> None:
        """Warn, once, of weights that got a gradient while no mask acted on them."""
        if not self._unproven:
            return
        acted = {id(c.binding) for c in self._all if c.mask.acted}
        due = {id(binding) for binding in stepped} - acted
        idle = [c for c in self._unproven if id(c.binding) in due and c.module.training and c.mask.p]
        self._unproven = [c for c in self._unproven if c not in idle and id(c.binding) not in acted]
        if idle:
            warnings.warn(
                f"[no-effect] {', '.join(c.name for c in idle)}: a gradient came, but no call of the layer on which "
                "DropConnect could act: its forward is called past its hooks, its weight is read from outside, or it "
                "was compiled before attach. Call the layer itself, attach before compiling, or leave it out of the "
                "plan.",
                NoEffectWarning,
                stacklevel=2,
            )


def _readers(model: nn.Module) -> dict[int, tuple[nn.Module, str]]:
    """Find modules whose weights another module uses without calling them: by identity, that module and the path."""
    attentions = (module for module in model.modules() if isinstance(module, nn.MultiheadAttention))
    return {id(attention.out_proj): (attention, "out_proj") for attention in attentions}


def _connections(bindings: Iterable[Binding], readers: dict[int, tuple[nn.Module, str]]) -> Iterator[Connection]:
    for binding in bindings:
        rules = binding.order.mask
        if not rules:
            continue
        _refuse(binding, rules)
        seen = set()
        for place in binding.weight.places:
            if (id(place.module), place.attribute) in seen:
                continue  # a module that stands in two places
            seen.add((id(place.module), place.attribute))
            module, owner = readers.get(id(place.module), (place.module, ""))
            yield Connection(place.name, binding, module, WeightMask(rules[0], place.name, place.attribute, owner))


def _refuse(binding: Binding, rules: tuple[DropConnect, ...]) -> None:
    where = f"attach: {rules[0]!r} cannot act on {binding.name}"
    if len(rules) > 1:
        raise ValueError(f"{where} beside {rules[1]!r}: one weight has one mask; leave one of them out.")
    if binding.weight.by is not None:
        raise ValueError(f"{where}, which is {binding.weight.by} anew at each call; remove the reparametrization.")
    if binding.parameter.is_complex():
        raise ValueError(f"{where}, which is complex; rules act on real weights: leave it out.")
    if hasattr(binding.parameter, "full_tensor"):
        raise ValueError(f"{where}, which is sharded (DTensor): its module does not read it whole; leave it out.")
    for module in (place.module for place in binding.weight.places):
        kind = type(module)
        if kind.forward is nn.Module.forward:
            raise ValueError(f"{where}: {kind.__name__} has no forward that reads it; leave it out.")
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and (module.sparse or module.max_norm is not None):
            raise ValueError(
                f"{where}, of an embedding with sparse gradients or `max_norm`, which reach its rows past any mask; "
                "build it without them (tn.MaxNorm bounds norms beside tn.DropConnect), or leave it out."
            )
