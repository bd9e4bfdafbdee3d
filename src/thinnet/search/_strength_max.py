"""The largest strength of a path, from which on all penalized weights are zero, by the gradient of the loss."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from thinnet.plan import Plan
from thinnet.search._gradient_recorder import recorded
from thinnet.search._objective import gradient
from thinnet.search._sparsity import Sparsity
from thinnet.search._trainer import Trainer


def strength_max_from_zero(trainer: Trainer) -> float:
    """Set all penalized weights to zero, train the rest, and find the least strength at which they stay zero.

    The network is then at the point of that strength.

    Raises:
        ValueError: no gradient reaches a penalized weight, as others that are zero stand before or behind it.
    """
    model, settings, sparsity = trainer.model, trainer.settings, trainer.model.sparsity
    sparsity.take_to_zero_()
    hold = model.optimizer.register_step_post_hook(lambda *_: sparsity.take_to_zero_())
    model.set_strength(0.0)
    try:
        with trainer.without_average():  # it would lag behind, and this must take no longer than it does
            # no longer than it takes: where nothing comes in, units drift, and some to where they never answer again
            trainer.train(settings.first_rounds, patience=max(settings.patience, 2))
            if trainer.task.polish is not None:
                _polish_the_rest(trainer)
            gradients = _gradients(trainer, model.network, sparsity)
            top = sparsity.strength_of(gradients)
    finally:
        hold.remove()
    stuck = [b.name for b, gradient in zip(sparsity.bindings, gradients, strict=True) if not gradient.any()]
    if stuck:
        raise ValueError(
            f"path: with every penalized weight zero, no gradient reaches {', '.join(stuck)}, at any strength (layers "
            'that feed each other are penalized together); use direction="up", or penalize one of them.'
        )
    return top


def strength_max_from_dense(trainer: Trainer) -> float:
    """The largest, over penalized parts, of the least strength at which a part is zero while all others are as trained.

    Raises:
        ValueError: no penalized weight has a gradient.
    """
    with trainer.averaged():
        found, dense = 0.0, copy.deepcopy(trainer.model.network)
    assert isinstance(trainer.task.plan, Plan)
    state = copy.deepcopy(dense.state_dict())
    for part in Sparsity.of(trainer.task.plan.bind(dense)).parts():
        part.take_to_zero_()
        found = max(found, part.strength_of(_gradients(trainer, dense, part)))
        dense.load_state_dict(state)
    if not found:
        raise ValueError("path: no penalized weight has a gradient; see that `fit` trains the model's weights.")
    return found


def _gradients(trainer: Trainer, network: nn.Module, sparsity: Sparsity) -> list[Tensor]:
    """The gradient of the loss, at the weights as they are."""
    task = trainer.task
    parameters = [binding.parameter for binding in sparsity.bindings]
    if task.polish is not None:
        return gradient(task.polish(network.eval()), parameters)
    own = network is trainer.model.network
    like = trainer.model.optimizer if own else task.make_optimizer(network.parameters())
    recorder = recorded(network, task.fit, like)
    return [recorder.mean(parameter) for parameter in parameters]


def _polish_the_rest(trainer: Trainer) -> None:
    """Polish without penalty, the penalized weights held where they are."""
    held = [binding.parameter for binding in trainer.model.sparsity.bindings]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        if any(p.requires_grad for p in trainer.model.network.parameters()):
            trainer.model.polish_(0.0)
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
