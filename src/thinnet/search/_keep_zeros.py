"""Fine-tuning of sparse networks with their zeros held."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from thinnet.plan import Plan, Weight, weights


class KeptZeros:
    """The handle of held zeros, returned by `keep_zeros`; active until `remove` or the end of a `with` block.

    Args:
        held: names, parameters and where their zeros are.
        optimizer: whose steps they outlast.
    """

    def __init__(self, held: list[tuple[str, nn.Parameter, Tensor]], optimizer: Optimizer) -> None:
        self._held = held
        self._handles = [optimizer.register_step_post_hook(self._after_step)]
        # out of the gradients too: optimizers that look at more than one weight, and clipping, then see what is left
        for _, parameter, zero in held:
            hook = partial(_without, zero=zero)
            self._handles.append(parameter.register_hook(hook))  # type: ignore[no-untyped-call]

    @property
    def zeros(self) -> dict[str, int]:
        """How many weights of each parameter are held at zero."""
        return {name: int(zero.sum()) for name, _, zero in self._held}

    def remove(self) -> None:
        """Stop holding zeros: the weights move again with the next step."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for name, parameter, zero in self._held:
            if parameter.shape != zero.shape:
                raise RuntimeError(
                    f"keep_zeros: {name} has become {tuple(parameter.shape)} from {tuple(zero.shape)}; remove() the "
                    "handle before the model is compacted, and call keep_zeros again after."
                )
            parameter.masked_fill_(zero.to(parameter.device), 0.0)


def keep_zeros(model: nn.Module, optimizer: Optimizer, *, plan: Plan | None = None) -> KeptZeros:
    r"""Hold weights that are exactly zero now at zero through every `optimizer.step()`; the others train freely.

    The penalty that made the zeros also made what is left too small. Trained on without the penalty, and with the
    zeros held, the survivors lose that bias (the relaxed lasso).

    .. math:: w_i \leftarrow 0 \quad \text{after each step, for all } i \text{ with } w_i = 0 \text{ now}

    Held are zeros of weight matrices and kernels, and of whatever else `plan` governs; biases and normalizations
    otherwise go free. It does not matter what momentum the optimizer has from before. The gradients of weights that
    are held become zero as they are computed.

    Args:
        model: any module.
        optimizer: the optimizer that goes on; its settings and state stay as they are.
        plan: a plan; zeros of all parameters that it governs are held too, such as rows of embeddings and biases.

    Returns:
        The handle: `remove()`, also at the end of a `with` block; `zeros` counts what is held.

    Raises:
        ValueError: the optimizer has none of the model's parameters, or a weight with zeros is computed anew at each
            call (weight norm), so that it cannot be held.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Linear(3, 1)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0, 2.0]]))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        >>> with tn.keep_zeros(model, optimizer) as kept:
        ...     model(torch.ones(3)).sum().backward()
        ...     optimizer.step()
        >>> kept.zeros, model.weight.tolist()
        ({'weight': 1}, [[0.5, 0.0, 1.5]])

    References:
        N. Meinshausen, Relaxed Lasso, 2007.
        S. Han, J. Pool, J. Tran, W. Dally, Learning both Weights and Connections for Efficient Neural Networks, 2015.
    """
    if plan is not None and not isinstance(plan, Plan):
        raise TypeError(f"keep_zeros: `plan` must be a tn.Plan, got {plan!r}; wrap it: tn.Plan(...).")
    stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    found = weights(model)
    if stepped.isdisjoint(id(p) for weight in found for p in weight.parameters):
        raise ValueError("keep_zeros: the optimizer has no parameter of this model; give the one that trains it.")
    governed = {binding.name for binding in plan.bind(model)} if plan is not None else set()
    held = []
    for weight in found:
        if not (_is_matrix(weight) or weight.name in governed):
            continue
        zero = weight.value().detach() == 0
        if not bool(zero.any()):
            continue
        if weight.by is None:
            held.append((weight.name, weight.parameters[0], zero))
        elif "pruning" not in weight.by:  # a pruning mask holds its zeros itself
            raise ValueError(
                f"keep_zeros: {weight.name} is {weight.by}, anew at each call, and has zeros that cannot be held; "
                "remove the reparametrization."
            )
    return KeptZeros(held, optimizer)


def _is_matrix(weight: Weight) -> bool:
    """Whether it is a weight matrix or kernel, in a list of them too (the `weights` of a `Stack`)."""
    if weight.of_a_layer():
        return True
    lists = [place.name.split(".")[-2:-1] for place in weight.places if isinstance(place.module, nn.ParameterList)]
    return any("weight" in name for names in lists for name in names) and weight.value().ndim >= 2


def _without(gradient: Tensor, zero: Tensor) -> Tensor:
    if gradient.shape != zero.shape:
        return gradient  # the step will say so
    return gradient.masked_fill(zero.to(gradient.device), 0.0)
