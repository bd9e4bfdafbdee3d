"""Neuron dropout on submatrices of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal, cast

from torch import Generator, nn

from thinnet._random import threshold
from thinnet.dropout import ChannelDropout, Dropout, DropoutLayer, NodeDropout
from thinnet.thinning._chains import Chain, thinnable
from thinnet.thinning._thin_layers import Link, ThinLayer, ThinLinear, made_thin


def thin_(
    model: nn.Module,
    p: float | Mapping[str, float] | None = 0.5,
    input_p: float = 0.0,
    *,
    groups: int = 1,
    generator: Generator | None = None,
) -> nn.Module:
    r"""Neuron dropout that skips the dropped neurons' computation, so a step is faster than without dropout; in place.

    At every iteration each hidden layer keeps a random set of its neurons (nodes), the same one for all rows, and
    forward and backward run on the kept ones only. Between layers with the kept sets O and I,

    $$y_O = W_{OI} \, \frac{x_I}{1 - p} + b_O,$$

    so the expectation is kept as dropout keeps it, and the products shrink to about (1 − p)² of the work. Gradients
    have their full shape, exactly zero for what was removed. Parameters, their names and the state dict stay as they
    are, so optimizers, `attach` and checkpoints do not notice; in eval mode it is the dense network.

    Args:
        model: any module; `thinnable(model)` says what can be thinned and why the rest cannot. It is changed in place:
            its linear layers become thin ones, and the dropout layers between them become the identity.
        p: the rate at which hidden nodes are removed, in [0, 1]: one for all; rates by glob patterns over the names of
            the layers that produce the nodes, the first that matches, other layers being left as they are; or None,
            the rates of the dropout layers that are there already.
        input_p: the rate at which the model's inputs (features) are removed, in [0, 1]; each row loses others, which
            measured better than the same for all rows, at next to no cost.
        groups: G parts of the rows (along the first dimension), each with its own set of nodes. With 2 groups at
            p = 0.5 the sets are complementary halves: every node trains at every step, at more cost.
        generator: source of the sets, on the model's device; None is torch's default one.

    Returns:
        The model itself.

    Raises:
        TypeError: if p is no rate.
        ValueError: if there is nothing to thin, a rate is outside [0, 1], a pattern matches nothing, or it is thin
            already.

    Example:
        A step costs less, and prediction is the dense network's.

        >>> import torch, thinnet as tn
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
        >>> x = torch.randn(5, 4)
        >>> before = model.eval()(x)
        >>> thinned = tn.thin_(model, p=0.5)
        >>> bool((thinned.eval()(x) == before).all())
        True
        >>> thinned.train()(x).sum().backward()
        >>> int((thinned[0].weight.grad != 0).any(1).sum()) <= 4  # four of eight nodes stayed
        True

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
        Overfitting", 2014.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"thin_: `model` must be a torch.nn.Module, got {type(model).__name__}.")
    if not isinstance(groups, int) or groups < 1:
        raise ValueError(f"thin_: `groups` must be an integer >= 1, got {groups}.")
    if any(isinstance(module, ThinLayer) for module in model.modules()):
        raise ValueError("thin_: the model is thin already; load its state dict into a new one to thin it otherwise.")
    chains = thinnable(model)
    rates = _rates(model, chains.found, p, input_p)
    if not rates:
        why = "no layer produces nodes that one other layer of its kind consumes"
        if chains.found:
            why = "no rate is above 0" if p is not None else "p=None takes the rates of dropout layers; there are none"
        raise ValueError(
            f"thin_: nothing to thin in {type(model).__name__} with p={p}, input_p={input_p}: {why}. Found:\n"
            f"{str(chains) or 'no linear layers'}"
        )
    for chain in chains.found:
        if chain not in rates and (both := _dropouts(model, [chain]) & _dropouts(model, rates)):
            raise ValueError(
                f"thin_: {type(both.pop()).__name__} '{chain.dropouts[0]}' is before '{chain.consumer}' too, which is "
                "not thinned; give each layer a dropout of its own, or both a rate."
            )
    for chain, rate in rates.items():
        reader = made_thin(model.get_submodule(chain.consumer))
        writers = [made_thin(model.get_submodule(name)) for name in chain.producers]
        # a child of the reader, so that it is found where dropout is looked for
        reader.nodes = nodes = _nodes(reader, rate, groups, generator, inputs=not writers).train(reader.training)
        reader.link_in = link = Link(nodes, groups, first=writers[0] if writers else None)
        for writer in writers:
            writer.link_out = link
        for name in chain.norms:
            made_thin(model.get_submodule(name)).link_out = link
    replaced = _dropouts(model, rates)
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in replaced:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, nn.Identity().train(module.training))
    return model


def _rates(
    model: nn.Module, chains: list[Chain], p: float | Mapping[str, float] | None, input_p: float
) -> dict[Chain, float]:
    """The rate of each chain that gets one."""
    given = p if isinstance(p, Mapping) else {"*": p}
    named = {f"thin_: `p`[{pattern!r}]" if isinstance(p, Mapping) else "thin_: `p`": q for pattern, q in given.items()}
    for name, rate in {**named, "thin_: `input_p`": input_p}.items():
        if rate is not None:
            threshold(rate, name=name)
    inputs = [chain for chain in chains if not chain.producers]
    if input_p and not inputs:
        raise ValueError(f"thin_: `input_p` is {input_p}, but no Linear alone consumes the model's inputs.")
    rates = {chain: input_p for chain in inputs if input_p}
    used = set()
    for chain in chains:
        matching = [pattern for pattern in given for name in chain.producers if fnmatchcase(name, pattern)]
        if matching:
            used.add(matching[0])
            rate = given[matching[0]]
            if rate is None:
                standing = [cast(float, model.get_submodule(name).p) for name in chain.dropouts]
                rate = 1 - math.prod(1 - q for q in standing)
            if rate:
                rates[chain] = rate
    if isinstance(p, Mapping) and (idle := [pattern for pattern in p if pattern not in used]):
        names = ", ".join(name for chain in chains for name in chain.producers)
        raise ValueError(
            f"thin_: `p` has {idle[0]!r}, which matches no layer that produces removable nodes: {names or 'none'}."
        )
    return rates


def _nodes(reader: ThinLayer, p: float, groups: int, generator: Generator | None, *, inputs: bool) -> DropoutLayer:
    """What holds the rate, and drops where all nodes are there: inputs, and the samples of a prediction."""
    if inputs:
        return Dropout(p, generator=generator)
    if isinstance(reader, ThinLinear):
        return NodeDropout(p, groups, generator=generator)
    return ChannelDropout(p, dims=cast(Literal[1, 2, 3], reader.trailing - 1), generator=generator)


def _dropouts(model: nn.Module, chains: Iterable[Chain]) -> set[nn.Module]:
    return {model.get_submodule(name) for chain in chains for name in chain.dropouts}
