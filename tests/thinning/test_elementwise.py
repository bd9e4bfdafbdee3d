import operator

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from thinnet.thinning._elementwise import (
    is_elementwise,
    is_homogeneous,
    is_pooling,
    is_reshape,
    name_of,
    reads_shape,
)

ACTIVATIONS = [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Hardtanh(), nn.LeakyReLU(0.1), nn.Identity(), nn.Tanhshrink()]
X = torch.linspace(-3, 3, 24, dtype=torch.float64).reshape(2, 4, 3)


def named(operation: object) -> str:
    """Name a function without its address, so that every process collects the same tests."""
    return getattr(operation, "__name__", repr(operation))


@pytest.mark.parametrize("operation", [*ACTIVATIONS, F.relu, F.elu, torch.tanh, torch.sigmoid], ids=named)
def test_elementwise_operations_act_on_each_element_alone(operation) -> None:
    assert is_elementwise(operation)
    order = torch.randperm(X.numel(), generator=torch.Generator().manual_seed(0))
    shuffled = operation(X.flatten()[order].clone())
    torch.testing.assert_close(shuffled, operation(X.clone()).flatten()[order])


@pytest.mark.parametrize(
    "operation", [operator.add, torch.mul, "relu", "tanh", "add_", torch.relu_, F.relu_], ids=named
)
def test_functions_and_methods_are_known_by_themselves(operation) -> None:
    assert is_elementwise(operation)


@pytest.mark.parametrize(
    "operation",
    [nn.Softmax(-1), nn.LayerNorm(3), nn.PReLU(4), F.softmax, torch.cumsum, "softmax", "view", None, nn.MaxPool2d(2)],
    ids=named,
)
def test_others_are_not_elementwise(operation) -> None:
    assert not is_elementwise(operation)


@pytest.mark.parametrize("operation", [*ACTIVATIONS, F.relu, F.leaky_relu, torch.sigmoid, torch.tanh], ids=named)
def test_homogeneous_are_those_that_a_positive_factor_passes(operation) -> None:
    passes = bool(torch.allclose(operation(2.5 * X), 2.5 * operation(X)))
    assert is_homogeneous(operation) is passes


@pytest.mark.parametrize("operation", [nn.MaxPool1d(2), nn.AvgPool1d(2), F.max_pool1d], ids=named)
def test_pooling_acts_on_each_channel_alone(operation) -> None:
    assert is_pooling(operation) and not is_elementwise(operation)
    pool = operation if isinstance(operation, nn.Module) else lambda x: operation(x, 2)
    x = X.transpose(1, 2).contiguous()
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(pool(x[:, order]), pool(x)[:, order])


def test_reshapes_are_known() -> None:
    assert all(map(is_reshape, (nn.Flatten(), torch.flatten, torch.reshape, "view", "flatten")))
    assert not any(map(is_reshape, (nn.ReLU(), torch.transpose, "transpose", None)))


class Asks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.fc(x).tanh()) + x.size(0) + x.shape[0] + x.abs()


def test_what_asks_for_the_shape_and_what_it_is_called() -> None:
    graph = fx.symbolic_trace(Asks()).graph
    nodes = {str(node): node for node in graph.nodes}
    asking = {name for name, node in nodes.items() if node.op != "placeholder" and reads_shape(node)}
    assert asking == {"size", "getattr_1"}
    assert name_of(nodes["fc"], nn.Linear(4, 4)) == "Linear 'fc'"
    assert name_of(nodes["tanh"], "tanh") == "'tanh'"
    assert name_of(nodes["relu"], torch.relu) == "relu()"
    assert name_of(nodes["output"], "output") == "the model's output"
