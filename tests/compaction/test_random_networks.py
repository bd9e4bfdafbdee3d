"""Networks drawn at random with random zeros: compacted and equal, or refused by name; never wrong, never a crash."""

from __future__ import annotations

import copy
from collections.abc import Set
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import thinnet as tn
from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._decide import decide
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.shrink._carry_out import carry_out_

from .networks._comparison import KINDS, inputs_of, unequal
from .networks._network import NAMES, Blueprint, Network, Root, build, example

NUMBERED = {
    *("one", "folding", "splitting", "picking", "placing", "shuffling", "learned"),
    *("attention", "fused", "remembered", "written"),
}
"""Operations with sizes or numbers of slices in their code, which only a run of the smaller network finds."""

CONSTANT = {"learned", "activation", "meeting", "comparison"}
"""Operations that may make a constant of whatever comes in, so that something can go though nothing is zero."""

DENSE: tuple[Root, ...] = ("rows", "sequence", "tokens")
IMAGES: tuple[Root, ...] = ("image", "signal", "two")

COMMON = ("linear", "mlp", "convolution", "block", "normalization", "common", "residual", "activation", "flattening")
"""Those that most networks are made of come more often than others."""

COUNTING = ("comparison", "reduction", "normalization", "activation", "padding", "pooling", "meeting")
"""Those that notice whether a zero is there."""


def blueprints(roots: tuple[Root, ...], without: Set[str] = frozenset(), zeros: tuple[float, ...] = (0.4, 0.6, 0.8)):
    """Steps from a seed, of which the first so many are taken: a failure shrinks to few."""
    names = [name for name in (*COMMON, *NAMES) if name not in without]

    def made(seed: int, length: int) -> Blueprint:
        draw = Random(seed)
        steps = tuple((draw.choice(names), draw.randrange(1 << 16)) for _ in range(9))
        return Blueprint(draw.choice(roots), steps[:length], seed, draw.choice(zeros))

    return st.builds(made, st.integers(0, 2**32 - 1), st.integers(2, 9))


def branches(roots: tuple[Root, ...], without: Set[str]):
    """Short ways beside each other: a layer, one or two operations, a reader."""
    names = [name for name in (*COUNTING, *COUNTING, *NAMES) if name not in without]

    def made(seed: int, number: int) -> Blueprint:
        draw, steps = Random(seed), []
        for _ in range(number):
            layer = draw.choice(("linear", "convolution", "convolution", "transposed", "mlp"))
            way = ["start", layer, *(draw.choice(names) for _ in range(draw.choice((1, 1, 2))))]
            steps += [(name, draw.randrange(1 << 16)) for name in way]
        return Blueprint(draw.choice(roots), tuple(steps), seed, 0.8)

    return st.builds(made, st.integers(0, 2**32 - 1), st.integers(3, 8))


def few(examples: int):
    """So many examples, the same in every run, however long each takes."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def state_of(network: nn.Module) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    attributes = {
        name: {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple)}
        for name, module in network.named_modules()
    }
    return copy.deepcopy(network.state_dict()), copy.deepcopy(attributes)


def assert_right(blueprint: Blueprint) -> None:
    """Equal on inputs of every kind, or refused; the original as it was."""
    network = build(blueprint)
    tensors, attributes = state_of(network)
    try:
        small, report = tn.compact(network, example(blueprint.root))
    except tn.NotCompactableError:
        small = None
    after, attributes_after = state_of(network)
    assert attributes_after == attributes
    assert list(after) == list(tensors)
    assert all(torch.equal(after[name], tensors[name]) for name in tensors)
    if small is not None:
        assert not unequal(network, small, blueprint.root)
        shapes = dict(network.named_parameters()) | dict(network.named_buffers())
        for name, tensor in (*small.named_parameters(), *small.named_buffers()):
            gone = report.removed.get(name, {})
            assert tensor.shape == tuple(n - gone.get(dim, 0) for dim, n in enumerate(shapes[name].shape))


@pytest.mark.slow
@few(35)
@given(blueprints(DENSE))
def test_dense_and_sequence_networks(blueprint: Blueprint) -> None:
    assert_right(blueprint)


@pytest.mark.slow
@few(35)
@given(blueprints(IMAGES))
def test_image_networks(blueprint: Blueprint) -> None:
    assert_right(blueprint)


def by_labels_alone(network: Network, root: Root) -> nn.Module:
    """What the labels say, carried out without a proof."""
    traced = trace(network, Inputs.of(example(root), "test"))
    deps = label(traced, propagate_constants(traced))
    small = copy.deepcopy(network)
    carry_out_(small, deps, decide(deps))
    return small


@pytest.mark.slow
@few(30)
@given(branches((*DENSE, *IMAGES), without=NUMBERED))
def test_the_labels_are_right_before_anything_is_proven(blueprint: Blueprint) -> None:
    """The proof is there for what nobody foresaw; what is foreseen needs none."""
    network = build(blueprint)
    assert not unequal(network, by_labels_alone(network, blueprint.root), blueprint.root)


def something_is_unread(network: nn.Module, root: Root) -> bool:
    """Whether some slice of a parameter has no gradient, whatever comes in."""
    total = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    for kind in KINDS[:5]:
        outputs = [output for output in network(*inputs_of(root, kind)) if output.requires_grad]
        cost = sum((output * torch.linspace(1, 2, output.numel()).view_as(output)).sum() for output in outputs)
        if outputs:
            found = torch.autograd.grad(cost, list(network.parameters()), allow_unused=True)
            for (name, _), gradient in zip(network.named_parameters(), found, strict=True):
                total[name] += 0 if gradient is None else gradient.abs()
    return any(bool((each == 0).any()) for each in total.values())


@pytest.mark.slow
@few(20)
@given(blueprints((*DENSE, *IMAGES), without=CONSTANT, zeros=(0.0,)))
def test_nothing_goes_where_nothing_is_zero(blueprint: Blueprint) -> None:
    network = build(blueprint)
    assume(not something_is_unread(network, blueprint.root))
    _, report = tn.compact(network, example(blueprint.root))
    assert report.removed == {}


@pytest.mark.slow
def test_most_are_compacted_and_lose_something() -> None:
    """Networks of which none could lose anything would show nothing."""
    removed = []
    for seed in range(12):
        steps = (("mlp", seed), ("linear", seed), ("common", seed), ("linear", seed + 1))
        root = (*DENSE, *IMAGES)[seed % 6]
        _, report = tn.compact(build(Blueprint(root, steps, seed, 0.8)), example(root))
        removed.append(sum(n for dims in report.removed.values() for n in dims.values()))
    assert sum(n > 0 for n in removed) >= 9
    assert sum(removed) > 100
