"""Shrinking while training: the model itself, its optimizer and its attachment."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from thinnet.attach import Attachment
from thinnet.compact._check import check
from thinnet.compact._compact import carry_out_, search
from thinnet.compact._errors import NotCompactableError
from thinnet.compact._groups import groups
from thinnet.compact._inputs import ExampleInputs, Inputs
from thinnet.compact._modes import in_eval
from thinnet.compact._optimizer import shrink_state_
from thinnet.compact._report import Report, report_of
from thinnet.compact._shrink import set_attributes, tensor_of
from thinnet.penalties import CoupledGroupLasso


def compact_(
    model: nn.Module,
    example_inputs: ExampleInputs,
    *,
    optimizer: Optimizer | None = None,
    attachment: Attachment | None = None,
) -> Report:
    """Remove what training has made unnecessary from the model itself, between steps; training goes on with the rest.

    As `compact`, but in place: parameters stay the same objects, so the optimizer and the plan keep them. Equality is
    proven on a copy first; where it does not hold, nothing is changed. The model may be in training mode, which it
    keeps: what is proven is that it is the same network in eval mode.

    Args:
        model: any module that `torch.export` can trace.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.
        optimizer: its optimizer: momenta and the like lose the same slices.
        attachment: what `attach` returned for it: groups that span parameters are renumbered.

    Returns:
        The report, which prints.

    Raises:
        NotCompactableError: as `compact`.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> with torch.no_grad():
        ...     _ = model[2].weight[:, 1:3].zero_()
        >>> report = tn.compact_(model, torch.randn(5, 3), optimizer=optimizer)
        >>> model[2].weight.shape, model.training
        (torch.Size([2, 2]), True)
    """
    inputs = Inputs.of(example_inputs, "compact_")
    with in_eval(model):
        check(model, inputs, "compact_")
        found = search(model, inputs)
        kept = found.decision.kept
        report = report_of(model, found.model, inputs, found.flow, found.decision, found.attributes, found.proof)
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        carry_out_(model, found.flow, found.decision)
        for path, values in found.attributes.items():
            set_attributes(model.get_submodule(path), values)
    if optimizer is not None:
        shrink_state_(optimizer, model, kept, shapes)
    if attachment is not None:
        attachment.keep(kept)
    return report


class CompactCallback:
    """Removes dead structures between epochs, so that training becomes faster as it goes.

    Call it at the end of each epoch. It looks at the weights that read each structure, which costs next to nothing, and
    compacts in place when enough of them have become zero since the last time.

    Args:
        model: the model in training.
        example_inputs: what it is called with.
        optimizer: its optimizer.
        attachment: what `attach` returned for it.
        at_least: the share of all structures that must be dead before it is worth it, 0.05 by default.

    Attributes:
        reports: what each removal did, in order.

    Raises:
        ValueError: `at_least` is not between 0 and 1.
        NotCompactableError: the model cannot be traced, or has no structure that could go.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> callback = tn.CompactCallback(model, torch.randn(5, 3))
        >>> callback()  # nothing is dead yet
        False
        >>> with torch.no_grad():
        ...     _ = model[2].weight[:, 1:3].zero_()
        >>> callback(), model[0].out_features
        (True, 2)
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: ExampleInputs,
        *,
        optimizer: Optimizer | None = None,
        attachment: Attachment | None = None,
        at_least: float = 0.05,
    ) -> None:
        if not 0 <= at_least <= 1:
            raise ValueError(f"CompactCallback: `at_least` must be between 0 and 1, got {at_least}.")
        self.reports: list[Report] = []
        self._model, self._inputs, self._optimizer, self._attachment = model, example_inputs, optimizer, attachment
        self._at_least = at_least
        self._structures: CoupledGroupLasso | None = groups(model, example_inputs)

    def __call__(self) -> bool:
        """Look, and remove what is dead; whether anything was removed."""
        if self._structures is None or dead_share(self._model, self._structures) <= self._at_least:
            return False
        report = compact_(self._model, self._inputs, optimizer=self._optimizer, attachment=self._attachment)
        self.reports.append(report)
        try:
            self._structures = groups(self._model, self._inputs)
        except NotCompactableError:
            self._structures = None  # nothing is left that could go
        return bool(report.removed)

    def on_epoch_end(self, *_: object, **__: object) -> None:
        """The same under the name that trainers call."""
        self()


@torch.no_grad()
def dead_share(model: nn.Module, structures: CoupledGroupLasso) -> float:
    """The share of structures of which every weight is zero."""
    live: dict[int, bool] = {}
    for name, (dim, numbers) in structures.members.items():
        alive = (tensor_of(model, name) != 0).movedim(dim, 0).flatten(1).any(1).tolist()
        for number, lives in zip(numbers, alive, strict=True):
            if number >= 0:
                live[number] = live.get(number, False) or lives
    return sum(not lives for lives in live.values()) / len(live)
