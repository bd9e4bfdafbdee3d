"""The strengths of a walk: given, or found on the way."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

from torch import Tensor, nn

from thinnet.plan import Plan
from thinnet.search._gradient_recorder import recorded
from thinnet.search._grid import geometric
from thinnet.search._objective import gradient
from thinnet.search._sparsity import Sparsity
from thinnet.search._walk import Walk


def strengths_along(walk: Walk, done: int = 0) -> Iterator[float]:
    """The strengths from number `done` on; those of a grid from the data are found on the way."""
    if walk.settings.strengths is not None:
        walk.grid = list(walk.settings.strengths)
        if walk.settings.direction == "down" and walk.sparsity and not done:
            _from_zero(walk)
        yield from walk.grid[done:]
    elif walk.settings.direction == "down":
        if not walk.grid:
            walk.grid = geometric(_from_zero(walk), walk.settings.eps, walk.settings.n_strengths)[::-1]
        yield from walk.grid[done:]
    else:
        if not done:
            yield 0.0
        if not walk.grid:
            walk.grid = [0.0, *geometric(_from_dense(walk), walk.settings.eps, walk.settings.n_strengths)]
        yield from _until_nothing_is_left(walk, max(done, 1))


def _until_nothing_is_left(walk: Walk, first: int) -> Iterator[float]:
    """The grid, cut where nothing is left, and continued where something is, to twice its length at most."""
    factor = walk.settings.eps ** (-1 / max(walk.settings.n_strengths - 1, 1))
    for number in itertools.count(first):
        if not walk.sparsity.value() or number > 2 * walk.settings.n_strengths:
            return
        if number == len(walk.grid):
            walk.grid.append(walk.grid[-1] * factor)
        yield walk.grid[number]


def _from_zero(walk: Walk) -> float:
    """The least strength at which nothing is left: the rest is trained first, then the gradient decides."""
    walk.sparsity.take_to_zero_()
    hold = walk.optimizer.register_step_post_hook(lambda *_: walk.sparsity.take_to_zero_())
    walk.set_strength(0.0)
    average, walk.average = walk.average, None  # it would lag behind, and what follows must take no longer than it does
    try:
        # no longer than it takes: where nothing comes in, units drift, and some to where they never answer again
        walk.train(walk.settings.first_rounds, patience=max(walk.settings.patience, 2))
        if walk.task.polish is not None:
            _polish_the_rest(walk)
        gradients = _gradients(walk, walk.model, walk.sparsity)
        top = walk.sparsity.strength_of(gradients)
    finally:
        hold.remove()
        walk.average = average
    stuck = [b.name for b, gradient in zip(walk.sparsity.bindings, gradients, strict=True) if not gradient.any()]
    if stuck:
        raise ValueError(
            f"path: with every penalized weight zero, no gradient reaches {', '.join(stuck)}, at any strength (layers "
            'that feed each other are penalized together); use direction="up", or penalize one of them.'
        )
    return top


def _from_dense(walk: Walk) -> float:
    """The least strength at which zero is optimal for each penalized part while all others are as they are."""
    with walk.averaged():
        found, dense = 0.0, copy.deepcopy(walk.model)
    assert isinstance(walk.task.plan, Plan)
    state = copy.deepcopy(dense.state_dict())
    for part in Sparsity.of(walk.task.plan.bind(dense)).parts():
        part.take_to_zero_()
        found = max(found, part.strength_of(_gradients(walk, dense, part)))
        dense.load_state_dict(state)
    if not found:
        raise ValueError("path: no penalized weight has a gradient; see that `fit` trains the model's weights.")
    return found


def _gradients(walk: Walk, model: nn.Module, sparsity: Sparsity) -> list[Tensor]:
    """The gradient of the loss, at the weights as they are."""
    parameters = [binding.parameter for binding in sparsity.bindings]
    if walk.task.polish is not None:
        return gradient(walk.task.polish(model.eval()), parameters)
    like = walk.optimizer if model is walk.model else walk.task.make_optimizer(model.parameters())
    recorder = recorded(model, walk.task.fit, like)
    return [recorder.mean(parameter) for parameter in parameters]


def _polish_the_rest(walk: Walk) -> None:
    held = [binding.parameter for binding in walk.sparsity.bindings]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        if any(p.requires_grad for p in walk.model.parameters()):
            walk.polish(0.0)
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
