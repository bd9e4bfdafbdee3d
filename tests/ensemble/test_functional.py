import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import thinnet as tn
from thinnet.dropout import Noise
from thinnet.ensemble._functional import FUNCTIONS, _recurrent


class Calls(nn.Module):
    """A module that calls functions itself, told whether it trains."""

    def __init__(self, function: Callable[..., Tensor], p: float = 0.5) -> None:
        super().__init__()
        self.function = function
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def attend(x: Tensor, p: float) -> Tensor:
    return F.scaled_dot_product_attention(x, x, x, dropout_p=p)


BY_FLAG = {
    "dropout": lambda m, x: F.dropout(x, m.p, m.training),
    "dropout by keyword": lambda m, x: F.dropout(input=x, p=m.p, training=m.training),
    "dropout in place": lambda m, x: F.dropout(x + 0, m.p, m.training, inplace=True),
    "dropout1d": lambda m, x: F.dropout1d(x[:, 0], m.p, m.training),
    "dropout2d": lambda m, x: F.dropout2d(x, m.p, m.training),
    "dropout3d": lambda m, x: F.dropout3d(x[:, None], m.p, m.training),
    "alpha_dropout": lambda m, x: F.alpha_dropout(x, m.p, m.training),
    "feature_alpha_dropout": lambda m, x: F.feature_alpha_dropout(x, m.p, m.training),
    "torch.dropout": lambda m, x: torch.dropout(x, m.p, m.training),
    "torch.alpha_dropout": lambda m, x: torch.alpha_dropout(x, m.p, m.training),
    "torch.feature_dropout": lambda m, x: torch.feature_dropout(x, m.p, m.training),
    "an exported program's": lambda m, x: torch.ops.aten.dropout.default(x, m.p, m.training),
    "rate by flag": lambda m, x: F.dropout(x, m.p if m.training else 0.0, m.training),
    "attention": lambda m, x: attend(x, m.p if m.training else 0.0),
    "attention, positional": lambda m, x: F.scaled_dot_product_attention(x, x, x, None, m.p * m.training),
    "always": lambda m, x: F.dropout(x, m.p, True),
    "attention, always": lambda m, x: attend(x, m.p),
}


def inputs(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", BY_FLAG)
@pytest.mark.parametrize("training", [True, False])
def test_functions_drop_as_in_training(name: str, training: bool) -> None:
    model = Calls(BY_FLAG[name]).train(training)
    x = inputs(7, 3, 4, 6)
    state = torch.get_rng_state()
    samples = tn.mc_predict(model, x, samples=4, seed=0).samples
    assert len({tuple(sample.flatten().tolist()) for sample in samples}) == 4
    assert torch.equal(samples, tn.mc_predict(model, x, samples=4, seed=0).samples)
    torch.testing.assert_close(samples, tn.mc_predict(model, x, samples=4, seed=0, batch_size=3).samples)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training is training


@pytest.mark.parametrize("name", BY_FLAG)
def test_functions_take_the_values_that_torch_gives_them(name: str) -> None:
    """The mean and the spread of many samples are those of the module in training."""
    model = Calls(BY_FLAG[name], p=0.3)
    x = inputs(5, 3, 4, 6)
    ours = tn.mc_predict(model.eval(), x, samples=600, seed=0).samples
    torch.manual_seed(0)
    theirs = torch.stack([model.train()(x) for _ in range(600)])
    spread = theirs.std(0)
    assert float(((ours.mean(0) - theirs.mean(0)).abs() / (spread + 1e-3)).max()) < 6 * (2 / 600) ** 0.5
    torch.testing.assert_close(ours.std(0).mean(), spread.mean(), rtol=0.02, atol=0)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: F.dropout(x, 0.5, False),
        lambda m, x: F.dropout(x, 0.0, m.training),
        lambda m, x: attend(x, 0.0),
        lambda m, x: F.dropout(x, 0.5, m.training and False),
    ],
)
def test_what_is_switched_off_on_purpose_stays_off(function: Callable[..., Tensor]) -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = Calls(function)
            self.drop = nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.calls(x), self.drop(x)], 1)

    x = inputs(4, 3, 4, 6)
    samples = tn.mc_predict(Beside().eval(), x, samples=3, seed=0).samples
    quiet = function(Calls(function).eval(), x)
    torch.testing.assert_close(samples[:, :, 0], quiet.expand(3, *quiet.shape))
    assert not torch.equal(samples[0, :, 1], samples[1, :, 1])


class Noisy(nn.Module):
    """A network in one module, with much that training mode would change."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros(()))
        self.linear = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        x = F.batch_norm(x, norm.running_mean, norm.running_var, training=self.training)
        if self.training:
            self.steps += 1
            x = x + 100
        return self.linear(F.dropout(x, 0.5, self.training))


def test_only_dropout_is_as_in_training() -> None:
    model = Noisy().eval()
    before = copy.deepcopy(model.state_dict())
    x = inputs(40, 6)
    pred = tn.mc_predict(model, x, samples=300, seed=0)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert float((pred.mean - model(x).detach()).abs().max()) < 0.5


def test_only_modules_that_call_functions_are_tried_in_training_mode() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Calls(BY_FLAG["attention"])

        def forward(self, x: Tensor) -> Tensor:
            assert not self.training, "a loss would be asked for here"
            return self.inner(x)

    assert float(tn.mc_predict(Outer(), inputs(5, 4, 6), samples=9, seed=0).std.max()) > 0


def test_functions_through_helpers_belong_to_the_module_that_calls_them() -> None:
    """As transformers' attention functions are."""

    def helper(module: nn.Module, x: Tensor, dropout: float) -> Tensor:
        return attend(x, dropout)

    model = Calls(lambda m, x: helper(m, x, m.p if m.training else 0.0))
    assert float(tn.mc_predict(model.eval(), inputs(5, 4, 6), samples=9, seed=0).std.max()) > 0


def test_what_cannot_be_known_is_refused_by_name() -> None:
    def more_in_training(m: nn.Module, x: Tensor) -> Tensor:
        return F.dropout(F.dropout2d(x, 0.1) if m.training else x, 0.5, m.training)

    with pytest.raises(ValueError, match=r"Calls calls torch.nn.functional.dropout itself.*others in training mode"):
        tn.mc_predict(Calls(more_in_training).eval(), inputs(5, 3, 4, 6))

    def fails_in_training(m: nn.Module, x: Tensor) -> Tensor:
        if m.training:
            raise RuntimeError("no target")
        return F.dropout(x, 0.5, m.training)

    model = Calls(fails_in_training).eval()
    with pytest.raises(ValueError, match=r"Calls calls torch.nn.functional.dropout itself.*fails: no target"):
        tn.mc_predict(model, inputs(5, 3))
    assert not model.training
    calls = iter(range(100))

    def more_and_more(m: nn.Module, x: Tensor) -> Tensor:
        for _ in range(1 + next(calls) // 3):
            x = F.dropout(x, 0.5, m.training)
        return x

    with pytest.raises(ValueError, match=r"functional.dropout more often in one forward pass than in another"):
        tn.mc_predict(Calls(more_and_more).eval(), inputs(5, 3))


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_called_as_a_function(need_weights: bool) -> None:
    attention = nn.MultiheadAttention(8, 2, dropout=0.5)
    attention.dropout = 0.0

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        out, _ = F.multi_head_attention_forward(
            x, x, x, 8, 2, attention.in_proj_weight, attention.in_proj_bias, None, None, False, 0.5,
            attention.out_proj.weight, attention.out_proj.bias, training=m.training, need_weights=need_weights,
        )  # fmt: skip
        return out.transpose(0, 1)

    x = inputs(5, 4, 8)
    samples = tn.mc_predict(Calls(forward).eval(), x, samples=9, seed=0).samples
    assert float(samples.std(0).min()) > 0
    torch.testing.assert_close(
        samples, tn.mc_predict(Calls(forward), x, samples=9, seed=0, batch_size=2).samples, rtol=1e-4, atol=1e-5
    )


class Everything(Noise):
    """Keeps all elements."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def keep(self, shape: object, p: float, device: torch.device) -> Tensor:
        self.shapes.append(tuple(shape))  # type: ignore[arg-type]
        return torch.ones(self.shapes[-1], dtype=torch.bool)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_recurrent_layers_one_by_one_are_the_network(
    kind: type[nn.RNNBase], bidirectional: bool, batch_first: bool, packed: bool
) -> None:
    torch.manual_seed(0)
    tiny = 1e-6  # rounds to 1/65536: what is kept is all but unchanged
    rnn = kind(5, 6, 3, dropout=tiny, bidirectional=bidirectional, batch_first=batch_first)
    x: Tensor | PackedSequence = inputs(4, 2, 5)
    if packed:
        x = pack_padded_sequence(x, [4, 2] if not batch_first else [2, 2, 1, 1], batch_first=batch_first)
    expected, state = rnn.eval()(x)
    arguments = []

    class Intercept(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func in (torch.lstm, torch.gru, torch.rnn_tanh):
                arguments.append((func, args))
            return func(*args, **(kwargs or {}))

    with Intercept():
        rnn.train()(x)
    ((func, args),) = arguments
    noise = Everything()
    out, *ends = _recurrent(func, args, noise)
    torch.testing.assert_close(out, expected.data if packed else expected, rtol=0, atol=1e-4)
    for end, theirs in zip(ends, state if isinstance(state, tuple) else (state,), strict=True):
        torch.testing.assert_close(end, theirs, rtol=0, atol=1e-4)
    width = 6 * (1 + bidirectional)
    assert noise.shapes == 2 * ([tuple(out.shape)] if packed else [(4, 2, width) if batch_first else (2, 4, width)])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("projection", [0, 3])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_every_sequence_of_a_batch_has_its_own_masks(batch_first: bool, projection: int) -> None:
    rnn = nn.LSTM(5, 6, 2, dropout=0.5, batch_first=batch_first, proj_size=projection)

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return rnn(x)[0] if batch_first else rnn(x.transpose(0, 1))[0].transpose(0, 1)

    model = Calls(forward)
    model.rnn = rnn
    x = inputs(6, 4, 5)
    whole = tn.mc_predict(model, x, samples=3, seed=0).samples
    assert not torch.equal(whole[0], whole[1])
    for batch_size in (2, 3, 4):
        parts = tn.mc_predict(model, x, samples=3, seed=0, batch_size=batch_size).samples
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_every_function_of_torch_that_drops_is_in_the_table() -> None:
    names = [name for name in dir(F) if "dropout" in name and not name.startswith("_")]
    assert names and all(getattr(F, name) in FUNCTIONS for name in names)
    names = [name for name in dir(torch) if "dropout" in name and name[0] != "_" and name != "native_dropout"]
    assert names and all(getattr(torch, name) in FUNCTIONS for name in names)
