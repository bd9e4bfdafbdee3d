"""Snapshot of a training: the state of its parts, in a form that files can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from thinnet.search._state_json import flatten, unflatten


class Stateful(Protocol):
    """What has a state that can be taken and put back: a module, an optimizer, an attachment, an average."""

    def state_dict(self) -> Any:
        """The state."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Put the state back."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A copy of the state of several parts at one moment.

    Args:
        plain: JSON, an entry a part and any others.
        tensors: copies of the tensors, by the names that `plain` has for them.
    """

    plain: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, parts: Mapping[str, Stateful | None]) -> Snapshot:
        """Copy the state of each part; None stands for a part that does not exist at present.

        Raises:
            TypeError: a part's state holds something other than tensors, numbers, text and dicts or lists of these.
        """
        tensors: dict[str, Tensor] = {}
        states = {name: None if part is None else part.state_dict() for name, part in parts.items()}
        return cls({name: flatten(state, name, tensors) for name, state in states.items()}, tensors)

    def restore_(self, parts: Mapping[str, Stateful | None]) -> None:
        """Put the state back into the parts of these names that exist now and did when it was taken."""
        # copies: optimizers keep the tensors that they are given, and train on in them
        copies = {name: tensor.clone() for name, tensor in self.tensors.items() if name.split(".")[0] in parts}
        for name, part in parts.items():
            state = unflatten(self.plain[name], copies)
            if part is not None and state is not None:
                part.load_state_dict(state)
