"""What stays of a small model by its labels alone, before anything is proven by running; and it carried out."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._decide import decide, obstacles
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.shrink._carry_out import carry_out_

Kept = dict[str, dict[int, list[int]]]


def dependencies_of(model: nn.Module, inputs: tuple[Tensor, ...]) -> DependencyGraph:
    traced = trace(model, Inputs.of(inputs, "test"))
    return label(traced, propagate_constants(traced))


@pytest.fixture
def kept() -> Callable[..., Kept]:
    """The indices that stay, by parameter and dimension, where not all do; the smaller model must be equal."""

    def found(model: nn.Module, *inputs: Tensor) -> Kept:
        model = model.double().eval()
        deps = dependencies_of(model, inputs)
        decision = decide(deps)
        small = copy.deepcopy(model)
        carry_out_(small, deps, decision)
        generator = torch.Generator().manual_seed(9)
        for scale in (1.0, 30.0, -1e-3):
            others = [
                scale * torch.randn(x.shape, generator=generator, dtype=x.dtype) if x.is_floating_point() else x
                for x in inputs
            ]
            torch.testing.assert_close(small(*others), model(*others), rtol=1e-9, atol=1e-9)
        return {name: {dim: at.tolist() for dim, at in dims.items()} for name, dims in decision.kept.items()}

    return found


@pytest.fixture
def reasons() -> Callable[..., set[str]]:
    """Why slices of a model stay for good: operation and reason."""

    def found(model: nn.Module, *inputs: Tensor) -> set[str]:
        return {f"{pin.operation}: {pin.reason}" for pin in obstacles(dependencies_of(model.double().eval(), inputs))}

    return found
