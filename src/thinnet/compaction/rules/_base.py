"""What a rule is: what an operation does to knowledge and to labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from thinnet.compaction._axes import Axes
from thinnet.compaction._trace import operation

if TYPE_CHECKING:
    from thinnet.compaction._flow import Flow


@dataclass(frozen=True)
class Known:
    """A tensor of the graph on the example inputs, and which of its elements depend on them.

    Args:
        data: the values.
        varies: True where the element depends on the inputs; elsewhere `data` is what it always is.
    """

    data: Tensor
    varies: Tensor

    @classmethod
    def constant(cls, data: Tensor) -> Known:
        """A tensor that no input changes."""
        return cls(data, torch.zeros(data.shape, dtype=torch.bool, device=data.device))

    @classmethod
    def variable(cls, data: Tensor) -> Known:
        """A tensor that the inputs change everywhere."""
        return cls(data, torch.ones(data.shape, dtype=torch.bool, device=data.device))

    @property
    def zero(self) -> Tensor:
        """True where the element is zero whatever the inputs."""
        return ~self.varies & (self.data == 0)


class Call:
    """One operation of the graph with its arguments by name."""

    def __init__(self, node: fx.Node, known: dict[fx.Node, Any]) -> None:
        self.node = node
        self.name = operation(node)
        self._known = known
        target = node.target
        if isinstance(target, torch._ops.OpOverload):
            parameters = target._schema.arguments
            self.arguments = {p.name: p.default_value for p in parameters if p.has_default_value()}
            self.arguments |= dict(zip((p.name for p in parameters), node.args, strict=False))
        else:
            self.arguments = {str(place): argument for place, argument in enumerate(node.args)}
        self.arguments |= node.kwargs

    def __getitem__(self, name: str) -> Any:
        """An argument: a node, or the value itself."""
        return self.arguments.get(name)

    def known(self, name: str) -> Known:
        """What is known of a tensor argument; a number is a constant."""
        argument = self[name]
        if isinstance(argument, fx.Node):
            found = self._known[argument]
            assert isinstance(found, Known)
            return found
        return Known.constant(torch.as_tensor(argument))

    def part(self, node: fx.Node) -> Known:
        """What is known of a node among the arguments (one of a list)."""
        found = self._known[node]
        assert isinstance(found, Known)
        return found

    def shape(self, name: str) -> torch.Size:
        """The shape of a tensor argument."""
        return self.known(name).data.shape

    def operands(self) -> list[fx.Node]:
        """Every tensor argument, those in lists too."""
        return [node for node in self.node.all_input_nodes if isinstance(self._known.get(node), Known)]

    def run(self, /, **changed: Any) -> Any:
        """The operation itself with some arguments changed, the others as they are."""

        def value(argument: Any) -> Any:
            found = self._known[argument]
            return found.data if isinstance(found, Known) else found

        arguments = fx.map_arg({**self.arguments, **changed}, value)
        return self.node.target(**arguments)  # type: ignore[operator]


Knowledge = Callable[[Call, Any], Any]
"""From a call and its outcome to which elements of the outcome depend on the inputs; a tuple where it has several."""

Labelling = Callable[[Call, "Flow"], Axes | list[Axes]]
"""From a call to the axes of its outcome, a list where it has several.

On the way it unites what must go together, pins what must stay, and notes what is read.
"""

KNOWLEDGE: dict[str, Knowledge] = {}
LABELLING: dict[str, Labelling] = {}


def knowledge(*names: str) -> Callable[[Knowledge], Knowledge]:
    """Register what is known behind the operations of these names."""

    def register(rule: Knowledge) -> Knowledge:
        KNOWLEDGE.update(dict.fromkeys(names, rule))
        return rule

    return register


def labelling(*names: str) -> Callable[[Labelling], Labelling]:
    """Register the labels behind the operations of these names."""

    def register(rule: Labelling) -> Labelling:
        LABELLING.update(dict.fromkeys(names, rule))
        return rule

    return register
