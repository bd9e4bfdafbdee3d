"""Structures of a network that are zeroed to see whether they go, said by parameter names alone."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Generator, nn

FRACTIONS = (0.5, 0.25, 0.75, 0.4)  # of the units of one kind, layer after layer: uneven


@dataclass(frozen=True)
class Place:
    """Where the units of a layer lie along one dimension of one parameter: in equal blocks, one after another.

    `outer` such runs may follow one another (the fused q, k and v of all heads), and a block may hold `inner` parts
    (the q, k and v of one head); `part` picks one of them. `window` says that only these indices belong to the layer.
    """

    name: str
    dim: int = 0
    outer: int = 1
    inner: int = 1
    part: int | None = None
    window: tuple[int, int] | None = None

    def indices(self, size: int, count: int, unit: int) -> list[int]:
        start, stop = self.window or (0, size)
        blocks = torch.arange(start, stop).view(self.outer, count, self.inner, -1)
        if self.part is None:
            return blocks[:, unit].flatten().tolist()
        return (blocks[self.part, unit] if self.outer > 1 else blocks[:, unit, self.part]).flatten().tolist()


@dataclass(frozen=True)
class Units:
    """The interchangeable structures of one layer (neurons, channels, heads).

    A unit is dead when all places of any one of the `ways` are zero, and the same whatever the input when those of
    `constant` are; what goes with it are the `members`. Where a dead unit cannot go, `stays` says why.
    """

    kind: str
    count: int
    ways: tuple[tuple[Place, ...], ...]
    members: tuple[Place, ...]
    constant: tuple[Place, ...] = ()
    fraction: float | None = None  # None: of the list of fractions
    stays: str = ""


@dataclass(frozen=True)
class Zeroed:
    """Units that were zeroed, and the indices they have in each parameter."""

    kind: str
    count: int
    stays: str
    cuts: dict[tuple[str, int], frozenset[int]] = field(repr=False)


def zero(model: nn.Module, layers: Iterable[Units], seed: int = 0, constants: bool = True) -> list[Zeroed]:
    """Zeroes units drawn at random in each layer, never all, each in a way drawn at random."""
    generator, seen, done = Generator().manual_seed(seed), Counter[str](), []
    for units in layers:
        fraction = units.fraction or FRACTIONS[seen[units.kind] % len(FRACTIONS)]
        seen[units.kind] += 1
        number = min(max(round(fraction * units.count), 1), units.count - 1)
        chosen = torch.randperm(units.count, generator=generator)[:number].tolist()
        ways = (*units.ways, *([units.constant] if constants and units.constant else []))
        for unit in chosen:
            way = int(torch.randint(len(ways), (), generator=generator))
            for place in ways[way]:
                _fill(model, place, units.count, unit)
        cuts = defaultdict(set)
        for place, unit in itertools.product(units.members, chosen):
            size = model.get_parameter(place.name).shape[place.dim]
            cuts[place.name, place.dim] |= set(place.indices(size, units.count, unit))
        done.append(Zeroed(units.kind, number, units.stays, {key: frozenset(cut) for key, cut in cuts.items()}))
    return done


@torch.no_grad()
def _fill(model: nn.Module, place: Place, count: int, unit: int) -> None:
    parameter = model.get_parameter(place.name)
    indices = place.indices(parameter.shape[place.dim], count, unit)
    parameter.index_fill_(place.dim, torch.tensor(indices), 0.0)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def shapes_without(model: nn.Module, zeroed: Iterable[Zeroed]) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters when exactly the zeroed units are gone."""
    left = remaining(model, zeroed)
    return {name: tuple(len(kept) for kept in dims) for name, dims in left.items()}


def remaining(model: nn.Module, zeroed: Iterable[Zeroed]) -> dict[str, list[list[int]]]:
    """The indices left along each dimension of each parameter when exactly the zeroed units are gone."""
    gone = defaultdict(set)
    for each in zeroed:
        for key, cut in each.cuts.items():
            gone[key] |= set() if each.stays else cut
    return {
        name: [[i for i in range(size) if i not in gone[name, dim]] for dim, size in enumerate(shape)]
        for name, shape in shapes(model).items()
    }


def gone(zeroed: Iterable[Zeroed], before: nn.Module, after: nn.Module) -> list[float]:
    """How many of the units of each layer are gone from every parameter they had a part in, by its shape alone."""
    zeroed, old, new = list(zeroed), shapes(before), shapes(after)
    cut = Counter[tuple[str, int]]()
    for each in zeroed:
        cut.update({key: len(indices) for key, indices in each.cuts.items()})

    def share(key: tuple[str, int]) -> float:
        name, dim = key
        return min(1.0, (old[name][dim] - new[name][dim]) / cut[key])

    return [each.count * min(share(key) for key in each.cuts) for each in zeroed]
