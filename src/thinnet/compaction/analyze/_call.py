"""One operation of a traced graph, its arguments, and what constant propagation found of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._trace import operation


@dataclass(frozen=True)
class Value:
    """A tensor of the graph on the example inputs, with the elements that depend on them marked.

    Args:
        data: the values.
        varies: True where the element depends on the inputs; elsewhere `data` is what it always is.
    """

    data: Tensor
    varies: Tensor

    @classmethod
    def constant(cls, data: Tensor) -> Value:
        """A tensor that no input changes."""
        return cls(data, torch.zeros(data.shape, dtype=torch.bool, device=data.device))

    @classmethod
    def variable(cls, data: Tensor) -> Value:
        """A tensor that the inputs change everywhere."""
        return cls(data, torch.ones(data.shape, dtype=torch.bool, device=data.device))

    @property
    def zero(self) -> Tensor:
        """True where the element is zero whatever the inputs."""
        return ~self.varies & (self.data == 0)


class Call:
    """One operation of the graph with its arguments by name."""

    def __init__(self, node: fx.Node, values: dict[fx.Node, Any]) -> None:
        self.node = node
        self.name = operation(node)
        self._values = values
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

    def value(self, name: str) -> Value:
        """The value of a tensor argument; a number is a constant."""
        argument = self[name]
        if isinstance(argument, fx.Node):
            found = self._values[argument]
            assert isinstance(found, Value)
            return found
        return Value.constant(torch.as_tensor(argument))

    def part(self, node: fx.Node) -> Value:
        """The value of a node among the arguments (one of a list)."""
        found = self._values[node]
        assert isinstance(found, Value)
        return found

    def shape(self, name: str) -> torch.Size:
        """The shape of a tensor argument."""
        return self.value(name).data.shape

    def operands(self) -> list[fx.Node]:
        """Every tensor argument, those in lists too."""
        return [node for node in self.node.all_input_nodes if isinstance(self._values.get(node), Value)]

    def run(self, /, **changed: Any) -> Any:
        """The operation itself with some arguments changed, the others as they are."""

        def value(argument: Any) -> Any:
            found = self._values[argument]
            return found.data if isinstance(found, Value) else found

        arguments = fx.map_arg({**self.arguments, **changed}, value)
        return self.node.target(**arguments)  # type: ignore[operator]


def is_elementwise(node: fx.Node) -> bool:
    """Whether an operation acts on each element alone."""
    return isinstance(node.target, torch._ops.OpOverload) and torch.Tag.pointwise in node.target.tags
