"""`tn.compact` as it is called: what it takes, what it refuses, what an optimizer does afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import thinnet as tn


def normal(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@torch.no_grad()
def mlp(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Nodes 1 and 3 are dead on both sides, so that training does not wake them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)).to(dtype).eval()
    model[0].weight[[1, 3]] = 0
    model[0].bias[[1, 3]] = 0
    model[2].weight[:, [1, 3]] = 0
    return model


def state_of(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = {
        name: {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple)}
        for name, module in model.named_modules()
    }
    return tensors, attributes


def assert_unchanged(model: nn.Module, before: tuple[dict[str, Tensor], dict[str, dict[str, Any]]]) -> None:
    tensors, attributes = state_of(model)
    assert attributes == before[1]
    assert list(tensors) == list(before[0])
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, before[0][name], rtol=0, atol=0, equal_nan=True)


class Two(nn.Module):
    """Called with two tensors and a switch; returns a dict."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other, self.out = nn.Linear(3, 6), nn.Linear(4, 6), nn.Linear(6, 2)
        with torch.no_grad():
            self.out.weight[:, [0, 5]] = 0

    def forward(self, x: Tensor, y: Tensor, *, double: bool = False) -> dict[str, Tensor]:
        hidden = torch.relu(self.one(x) + self.other(y))
        return {"out": self.out(hidden) * (2 if double else 1)}


@pytest.mark.parametrize(
    "example",
    [
        (normal(2, 3), normal(2, 4)),
        [normal(2, 3), normal(2, 4)],
        {"x": normal(2, 3), "y": normal(2, 4), "double": True},
    ],
)
def test_inputs_of_every_kind(example: Any) -> None:
    model = Two().eval()
    before = state_of(model)
    small, report = tn.compact(model, example)
    assert_unchanged(model, before)
    assert type(small) is Two
    assert report.removed == {
        **{f"{name}.{part}": {0: 2} for name in ("one", "other") for part in ("weight", "bias")},
        "out.weight": {1: 2},
    }
    call = example if isinstance(example, dict) else {"x": normal(7, 3, seed=5), "y": normal(7, 4, seed=6)}
    torch.testing.assert_close(small(**call)["out"], model(**call)["out"])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_precisions(dtype: torch.dtype) -> None:
    model, x = mlp(dtype), normal(4, 3, dtype=dtype)
    small, _ = tn.compact(model, x)
    assert {p.dtype for p in small.parameters()} == {dtype}
    assert small[0].out_features == 4
    torch.testing.assert_close(small(x), model(x))


def test_nothing_of_the_original_is_shared() -> None:
    model, x = mlp(), normal(4, 3)
    small, _ = tn.compact(model, x)
    before = model(x).detach().clone()
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.add_(1)
    torch.testing.assert_close(model(x), before, rtol=0, atol=0)


def test_what_is_frozen_stays_frozen() -> None:
    model = mlp()
    model[0].weight.requires_grad_(False)
    small, _ = tn.compact(model, normal(4, 3))
    assert [name for name, p in small.named_parameters() if not p.requires_grad] == ["0.weight"]


def test_twice_is_once() -> None:
    model, x = mlp(), normal(4, 3)
    small, _ = tn.compact(model, x)
    again, report = tn.compact(small, x)
    assert report.removed == {}
    torch.testing.assert_close(again(x), small(x), rtol=0, atol=0)


def test_tied_layers_stay_tied() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)).eval()
    model[4].weight = model[2].weight
    with torch.no_grad():
        model[2].weight[:, 0] = 0
        model[0].weight[0] = 0
    small, _ = tn.compact(model, normal(3, 4))
    assert small[4].weight is small[2].weight
    torch.testing.assert_close(small(normal(5, 4, seed=8)), model(normal(5, 4, seed=8)))


OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "SGD": lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda m: torch.optim.Adam(m.parameters(), lr=0.01, amsgrad=True),
    "AdamW": lambda m: torch.optim.AdamW(
        [{"params": [m[0].weight, m[2].weight], "weight_decay": 0.1}, {"params": [m[0].bias, m[2].bias], "lr": 0.02}]
    ),
    "RMSprop": lambda m: torch.optim.RMSprop(m.parameters(), lr=0.01, centered=True, momentum=0.5),
    "Adagrad": lambda m: torch.optim.Adagrad(m.parameters(), lr=0.05),
    "Adamax": lambda m: torch.optim.Adamax(m.parameters(), lr=0.01),
    "NAdam": lambda m: torch.optim.NAdam(m.parameters(), lr=0.01),
}


def train(model: nn.Module, optimizer: Optimizer, steps: int, seed: int) -> None:
    for step in range(steps):
        x = normal(8, 3, seed=seed + step, dtype=torch.float64)
        optimizer.zero_grad()
        (model(x) - x[:, :2].sin()).square().mean().backward()
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_as_if_nothing_had_happened(name: str) -> None:
    model = mlp(torch.float64)
    optimizer = OPTIMIZERS[name](model)
    train(model, optimizer, 3, seed=10)
    twin = copy.deepcopy(model)
    beside = OPTIMIZERS[name](twin)
    beside.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    small, _ = tn.compact(model, normal(4, 3, dtype=torch.float64), optimizer=optimizer)
    before = state_of(model)
    train(small, optimizer, 5, seed=20)
    assert_unchanged(model, before)  # the optimizer has let go of it
    train(twin, beside, 5, seed=20)

    rest = [0, 2, 4, 5]
    torch.testing.assert_close(small[0].weight.data, twin[0].weight.data[rest], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(small[0].bias.data, twin[0].bias.data[rest], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(small[2].weight.data, twin[2].weight.data[:, rest], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(small[2].bias.data, twin[2].bias.data, rtol=1e-9, atol=1e-12)
    assert not bool(twin[0].weight[[1, 3]].any()), "the dead nodes of the twin should have stayed dead"
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {id(p) for p in small.parameters()}


def test_factored_state_follows() -> None:
    """Adafactor keeps a mean square for each row and each column."""
    model = mlp(torch.float64)
    optimizer = torch.optim.Adafactor(model.parameters(), lr=0.01)
    train(model, optimizer, 2, seed=10)
    rows = optimizer.state[model[0].weight]["row_var"].clone()
    small, _ = tn.compact(model, normal(4, 3, dtype=torch.float64), optimizer=optimizer)
    state = optimizer.state[small[0].weight]
    torch.testing.assert_close(state["row_var"], rows[[0, 2, 4, 5]])
    assert state["col_var"].shape == (1, 3)
    assert optimizer.state[small[2].weight]["col_var"].shape == (1, 4)
    train(small, optimizer, 2, seed=20)


def test_an_optimizer_of_other_parameters_too() -> None:
    model, other = mlp(), nn.Linear(2, 2)
    optimizer = torch.optim.SGD([*model.parameters(), *other.parameters()], lr=0.1)
    small, _ = tn.compact(model, normal(4, 3), optimizer=optimizer)
    wanted = [*map(id, small.parameters()), *map(id, other.parameters())]
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == wanted


class Branching(nn.Module):
    """Control flow that depends on a value."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


class Noisy(nn.Module):
    """Random in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.layer(x), 0.5, training=True)


def in_training() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()


def partly_in_training() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)).eval()
    model[1].train()
    return model


REFUSED: list[tuple[Callable[[], nn.Module], Any, type[Exception], str]] = [
    (mlp, (), ValueError, r"`example_inputs` holds no tensor; give what the model is called with"),
    (mlp, {}, ValueError, r"`example_inputs` holds no tensor"),
    (mlp, None, TypeError, r"`example_inputs` must be a tensor, a tuple of arguments or a dict.*got NoneType"),
    (mlp, "x", TypeError, r"`example_inputs` must be a tensor.*got str"),
    (
        mlp,
        torch.zeros(4, 3, device="meta"),
        ValueError,
        r"the model is on cpu, `example_inputs` on meta.*x\.to\(device\)",
    ),
    (mlp, normal(4, 5), ValueError, r"Sequential does not run on `example_inputs` \(RuntimeError: .*shapes"),
    (mlp, {"y": normal(4, 3)}, ValueError, r"does not run on `example_inputs` \(TypeError"),
    (mlp, torch.zeros(4, 3, dtype=torch.int64), ValueError, r"does not run on `example_inputs`"),
    (in_training, normal(4, 3), ValueError, r"in training mode.*call model\.eval\(\)"),
    (partly_in_training, normal(4, 3), ValueError, r"compact: 1 is in training mode"),
    (lambda: Branching().eval(), normal(4, 3), tn.NotCompactableError, r"Branching cannot be traced.*Control flow"),
    (lambda: Noisy().eval(), normal(4, 3), tn.NotCompactableError, r"Noisy returns something else each time"),
]


@pytest.mark.parametrize(("make", "example", "error", "match"), REFUSED)
def test_bad_input_is_refused_by_name_and_nothing_changes(
    make: Callable[[], nn.Module], example: Any, error: type[Exception], match: str
) -> None:
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    before, parameters = state_of(model), [id(p) for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    generator = torch.get_rng_state()
    with pytest.raises(error, match=match):
        tn.compact(model, example, optimizer=optimizer)
    assert_unchanged(model, before)
    assert [module.training for module in model.modules()] == modes
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == parameters
    assert torch.equal(torch.get_rng_state(), generator)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`model` must be a torch\.nn\.Module, got list"):
        tn.compact([mlp()], normal(2, 3))  # type: ignore[arg-type]


def test_refusal_is_a_value_error() -> None:
    assert issubclass(tn.NotCompactableError, ValueError)


def test_the_random_generator_is_left_alone() -> None:
    model, x = mlp(), normal(4, 3)
    before = torch.get_rng_state()
    tn.compact(model, x)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_frozen_model_and_one_without_parameters() -> None:
    small, report = tn.compact(mlp().requires_grad_(False), normal(4, 3))
    assert small[0].out_features == 4
    assert not any(p.requires_grad for p in small.parameters())
    _, report = tn.compact(nn.ReLU().eval(), normal(4, 3))
    assert report.removed == {}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_under_any_mode_of_gradients(mode: Callable[[], Any]) -> None:
    model, x = mlp(), normal(4, 3)
    with mode():
        small, _ = tn.compact(model, x)
    assert small[0].out_features == 4
    small(x).sum().backward()
    assert small[0].weight.grad is not None


def test_a_layer_of_constants_leaves_one_node_and_equal_outputs() -> None:
    """The node that stays also stands for those that went, whose gradients it does not have."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.SiLU(), nn.Linear(2, 2), nn.SiLU(), nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        model[0].weight.zero_()
    small, report = tn.compact(model, torch.randn(5, 3, dtype=torch.float64))
    assert report.parameters == (17, 8)
    x = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(small(x), model(x))
