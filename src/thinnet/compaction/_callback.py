"""Compaction between the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from thinnet.attachment import Attachment
from thinnet.compaction._groups import groups
from thinnet.compaction._in_place import checked_optimizer, compact_
from thinnet.compaction._report import Report
from thinnet.compaction.analyze._inputs import ExampleInputs
from thinnet.compaction.analyze._slices import tensor_of
from thinnet.compaction.shrink._rebuild import rebuild_
from thinnet.compaction.shrink._recipe import composed
from thinnet.errors import NotCompactableError
from thinnet.penalties import CoupledGroupLasso
from thinnet.plan import unwrap


class CompactCallback:
    """Compact a model in place between epochs, so that training becomes faster as structures die.

    Call it at the end of each epoch. It looks at the outgoing weights of each structure, which costs next to nothing,
    and compacts in place when enough of them have become zero since the last time, which costs a trace and the proof:
    seconds, more for large models. Structures that are still dead at the end of training are for `compact`.

    Args:
        model: the model in training.
        example_inputs: what it is called with.
        optimizer: its optimizer.
        attachment: what `attach` returned for it.
        at_least: the share of all structures that must be dead before it is worth it, 0.05 by default.

    Attributes:
        reports: what each removal did, in order.
        recipe: all removals as one, for `rebuild` of a model in its first size.

    Raises:
        ValueError: `at_least` is not between 0 and 1.
        NotCompactableError: the model cannot be traced, or has no structure that could be removed.

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
        if isinstance(at_least, bool) or not isinstance(at_least, int | float):
            raise TypeError(f"CompactCallback: `at_least` must be a number, got {at_least!r}.")
        if not 0 <= at_least <= 1:
            raise ValueError(f"CompactCallback: `at_least` must be between 0 and 1, got {at_least}.")
        self.reports: list[Report] = []
        self.recipe: dict[str, Any] | None = None
        self._optimizer = checked_optimizer(model, optimizer, attachment, "CompactCallback")
        self._model, self._inputs, self._attachment = unwrap(model), example_inputs, attachment
        self._at_least, self._held = at_least, 0.0
        self._structures: CoupledGroupLasso | None = groups(model, example_inputs)

    def __call__(self) -> bool:
        """Remove dead structures if they are enough; whether anything was removed."""
        if self._structures is None:
            return False
        dead = dead_share(self._model, self._structures)
        if dead <= max(self._at_least, self._held):
            return False
        report = compact_(self._model, self._inputs, optimizer=self._optimizer, attachment=self._attachment)
        if not report.removed:
            self._held = dead  # what holds them now will hold them again
            return False
        self.reports.append(report)
        self.recipe = composed(self.recipe, report.recipe)
        self._look_anew()
        return True

    def resume(self, recipe: Mapping[str, Any]) -> None:
        """Shrink the model, in its first size and not trained yet, to where another callback's `recipe` had come.

        Load state dicts of model, optimizer and attachment afterwards.

        Raises:
            ValueError: the recipe is of another model.
        """
        kept = rebuild_(self._model, recipe)
        if self._attachment is not None:
            self._attachment.keep(kept)
        self.recipe = dict(recipe)
        self._look_anew()

    def _look_anew(self) -> None:
        """Find the structures that are left, and the share of them that is dead but cannot be removed."""
        try:
            self._structures = groups(self._model, self._inputs)
        except NotCompactableError:
            self._structures = None  # nothing is left that could be removed
        self._held = 0.0 if self._structures is None else dead_share(self._model, self._structures)

    def on_epoch_end(self, *_: object, **__: object) -> None:
        """Call the callback, under the name that trainers use."""
        self()


@torch.no_grad()
def dead_share(model: nn.Module, structures: CoupledGroupLasso) -> float:
    """The share of structures of which every weight is zero."""
    live: dict[int, bool] = {}
    for name, (dim, numbers) in structures.members.items():
        alive = (tensor_of(model, name) != 0).movedim(dim, 0).reshape(len(numbers), -1).any(1)
        for number, lives in zip(numbers, alive.tolist(), strict=True):
            if number >= 0:
                live[number] = live.get(number, False) or lives
    return sum(not lives for lives in live.values()) / len(live)
