"""A network built of steps that were drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from . import _fixed, _functions, _joins, _layers, _movement, _sequences  # noqa: F401 - importing enrols the operations
from ._operation import OPERATIONS

Root = Literal["rows", "sequence", "image", "signal", "tokens", "two"]
ROOTS: tuple[Root, ...] = ("rows", "sequence", "image", "signal", "tokens", "two")
NAMES = (*sorted(OPERATIONS), "again")
"""What a step can be; "again" is a layer of an earlier step on another value."""

_LARGEST = 4096
_WORDS = 7


@dataclass(frozen=True)
class Blueprint:
    """What a network is built from, all of it deterministic.

    Args:
        root: the kind of its inputs.
        steps: the operations in order, each with the seed of its choices; one that fits no value is left out. The one
            after a "start" takes an input.
        seed: of weights, and of what is zeroed.
        zeros: how likely it is that slices of a parameter are zeroed.
    """

    root: Root
    steps: tuple[tuple[str, int], ...]
    seed: int
    zeros: float


def example(root: Root, seed: int = 0, batch: int = 2) -> tuple[Tensor, ...]:
    """Inputs of this kind from a normal distribution."""
    generator = Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator, dtype=torch.float64)

    if root == "tokens":
        return (torch.randint(_WORDS, (batch, 3), generator=generator),)
    shapes = {"rows": [(5,)], "sequence": [(3, 4)], "image": [(3, 4, 4)], "signal": [(4, 6)], "two": [(3, 4, 4), (4,)]}
    return tuple(normal(*shape) for shape in shapes[root])


class Network(nn.Module):
    """The steps in order, then a reader of each value that no step took."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        self.places: list[tuple[int, ...]] = []
        self.counts: list[int] = []
        self.used: list[str] = []
        values = list(example(blueprint.root))
        if blueprint.root == "tokens":
            self._grow(nn.Embedding(_WORDS, 6), (0,), values, "embedding")
        inputs = len(values)
        for (before, _), (name, seed) in itertools.pairwise((("", 0), *blueprint.steps)):
            if name != "start":
                self._step(name, Random(seed), values, inputs if before == "start" else len(values))
        taken = {place for places in self.places for place in places}
        draw = Random(blueprint.seed)
        for place in [place for place in range(len(values)) if place not in taken]:
            if values[place].is_floating_point() and draw.random() < 0.85:
                self._grow(_reader(draw, values[place]), (place,), values, "reader")
        taken = {place for places in self.places for place in places}
        self.returned = [place for place in range(len(values)) if place not in taken]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        values = list(inputs)
        for step, places, count in zip(self.steps, self.places, self.counts, strict=True):
            found = _several(step(*(values[place] for place in places)))
            if len(found) != count:
                raise RuntimeError("a batch of this size falls into another number of parts")
            values += found
        return tuple(values[place] for place in self.returned)

    def _step(self, name: str, draw: Random, values: list[Tensor], known: int) -> None:
        """Try the latest of the first so many values first, mostly."""
        floating = [place for place, value in enumerate(values[:known]) if value.is_floating_point()]
        order = floating[::-1]
        if draw.random() < 0.3:
            draw.shuffle(order)
        for start in range(len(order)):
            places = [order[start], *order[:start], *order[start + 1 :]]
            if name == "again":
                with_weights = [step for step in self.steps if any(True for _ in step.parameters())]
                made = (draw.choice(with_weights), (0,)) if with_weights else None
            else:
                made = OPERATIONS[name](draw, [values[place] for place in places])
            if made is not None and self._grow(made[0], tuple(places[i] for i in made[1]), values, name):
                return

    def _grow(self, step: nn.Module, places: tuple[int, ...], values: list[Tensor], name: str) -> bool:
        step = step.double().eval()
        try:
            found = _several(step(*(values[place] for place in places)))
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
            return False  # of a size that this operation does not take
        found = [value.detach() for value in found]
        fine = all(0 < v.numel() <= _LARGEST and 0 < v.ndim < 6 and bool(v.isfinite().all()) for v in found)
        if not fine or any(v.abs().max() > 1e4 for v in found):
            return False
        self.steps.append(step)
        self.places.append(places)
        self.counts.append(len(found))
        self.used.append(name)
        values += found
        return True


def _several(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found)


def _reader(draw: Random, value: Tensor) -> nn.Module:
    if value.ndim == 4 and draw.random() < 0.6:
        return nn.Conv2d(value.shape[1], 2, 1)
    return nn.Linear(value.shape[-1], 2)


def build(blueprint: Blueprint) -> Network:
    """The network of a blueprint in eval mode, its weights random and some of them zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(blueprint.seed)
        network = Network(blueprint).double().eval()
    _randomise(network, Generator().manual_seed(blueprint.seed))
    zero_(network, Random(blueprint.seed), blueprint.zeros)
    return network


@torch.no_grad()
def _randomise(network: nn.Module, generator: Generator) -> None:
    """Noise on what is constant as it is made: scales, shifts, statistics."""
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        noise = 0.3 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if name.endswith("running_var"):
            tensor.mul_(noise.exp())
        elif tensor.is_floating_point() and tensor.ndim == 1 and not name.endswith("mask"):
            tensor.add_(noise)


@torch.no_grad()
def zero_(network: nn.Module, draw: Random, share: float) -> None:
    """Zero slices of parameters: mostly the same of all that have one length, so that whole structures die."""
    alike: dict[int, list[int]] = {}
    for module in network.modules():
        own: dict[int, list[int]] = {}
        for name, parameter in module.named_parameters(recurse=False):
            if name == "original1":
                continue  # the direction of a normalized weight, which a zero has none of
            for dim, n in enumerate(parameter.shape[:2]):
                if n < 2 or draw.random() >= share:
                    continue
                chosen = draw.choice((alike, alike, own)).setdefault(n, _some(draw, n))
                parameter.index_fill_(dim, torch.tensor(chosen, dtype=torch.int64), 0.0)


def _some(draw: Random, n: int) -> list[int]:
    """Some of n slices, in blocks."""
    size = draw.choice([d for d in (1, 1, 2, 3, 4) if n % d == 0])
    blocks = [block for block in range(n // size) if draw.random() < 0.5]
    return [block * size + i for block in blocks for i in range(size)]
