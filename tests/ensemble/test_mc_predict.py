import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn
from thinnet.ensemble import _passes


def net(drop: Callable[[float], nn.Module] = tn.Dropout, p: float = 0.5) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 33), nn.BatchNorm1d(33), nn.ReLU(), drop(p), nn.Linear(33, 3), drop(0.1))


def inputs(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


class Encoder(nn.Module):
    """Attention over a sequence, pooled."""

    def __init__(self, dropout: float, *, attention: bool = True) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True)
        if not attention:
            layer.self_attn.dropout = 0.0
        self.encoder = nn.TransformerEncoder(layer, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean(1)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], dropout: float, layers: int = 2) -> None:
        super().__init__()
        self.rnn = kind(5, 6, layers, batch_first=True, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0][:, -1]


class Apply(nn.Module):
    """Any function as a model, with layers beside it."""

    def __init__(self, function: Callable[..., object], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.function = function

    def forward(self, *args: object) -> object:
        return self.function(*self.layers, *args)


EVERY_KIND = {
    "thinnet": (net(), (7, 5)),
    "torch": (net(nn.Dropout), (7, 5)),
    "AlphaDropout": (net(nn.AlphaDropout), (7, 5)),
    "FeatureAlphaDropout": (nn.Sequential(nn.FeatureAlphaDropout(0.5)), (7, 5, 4)),
    "Dropout1d": (nn.Sequential(nn.Dropout1d(0.5)), (7, 5, 4)),
    "Dropout2d": (nn.Sequential(nn.Conv2d(3, 5, 2), nn.Dropout2d(0.3), nn.Flatten()), (7, 3, 4, 4)),
    "Dropout3d": (nn.Sequential(nn.Dropout3d(0.5)), (7, 5, 2, 2, 2)),
    "LSTM": (Recurrent(nn.LSTM, 0.5), (7, 4, 5)),
    "GRU": (Recurrent(nn.GRU, 0.5), (7, 4, 5)),
    "RNN": (Recurrent(nn.RNN, 0.5), (7, 4, 5)),
    "TransformerEncoder": (Encoder(0.3), (7, 4, 8)),
    "residual dropout only": (Encoder(0.3, attention=False), (7, 4, 8)),
    "attention": (
        Apply(lambda a, x: a(x, x, x, need_weights=False)[0], nn.MultiheadAttention(8, 2, 0.5, batch_first=True)),
        (7, 4, 8),
    ),
}


@pytest.mark.parametrize("name", EVERY_KIND)
@pytest.mark.parametrize("training", [True, False])
def test_every_kind_is_sampled_and_left_as_it_was(name: str, training: bool) -> None:
    model, shape = EVERY_KIND[name]
    model.train(training)
    modes = [module.training for module in model.modules()]
    buffers = {k: v.clone() for k, v in model.state_dict().items()}
    x = inputs(*shape)
    before, state = x.clone(), torch.get_rng_state()
    pred = tn.mc_predict(model, x, samples=5, seed=1)
    assert pred.samples.shape[:2] == (5, 7)
    assert not pred.samples.requires_grad
    for a, b in itertools.combinations(pred.samples, 2):
        assert not torch.equal(a, b)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert not any({"forward", "perturb"} & vars(module).keys() for module in model.modules())
    for key, value in model.state_dict().items():
        assert torch.equal(value, buffers[key])


@pytest.mark.parametrize("name", EVERY_KIND)
def test_seeds(name: str) -> None:
    model, shape = EVERY_KIND[name]
    x = inputs(*shape)
    first = tn.mc_predict(model, x, samples=3, seed=1).samples
    torch.manual_seed(123)  # must not matter
    assert torch.equal(first, tn.mc_predict(model, x, samples=3, seed=1).samples)
    torch.testing.assert_close(first, tn.mc_predict(model, x, samples=5, seed=1).samples[:3])
    assert not torch.equal(first, tn.mc_predict(model, x, samples=3, seed=2).samples)
    assert not torch.equal(
        tn.mc_predict(model, x, samples=3).samples,
        tn.mc_predict(model, x, samples=3).samples,
    )


@pytest.mark.parametrize("name", EVERY_KIND)
@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 7, 100])
def test_batches_do_not_change_the_samples(name: str, batch_size: int) -> None:
    model, shape = EVERY_KIND[name]
    x = inputs(*shape)
    whole = tn.mc_predict(model, x, samples=4, seed=3).samples
    torch.testing.assert_close(
        tn.mc_predict(model, x, samples=4, seed=3, batch_size=batch_size).samples, whole, rtol=1e-5, atol=1e-6
    )


class Counting(nn.Module):
    """Notes how many rows each forward pass has."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.rows: list[int] = []

    def forward(self, x: Tensor, *rest: object) -> object:
        self.rows.append(len(x))
        return self.model(x, *rest)


@pytest.mark.parametrize(
    ("batch_size", "passes"),
    [
        (None, 1 + 1),
        (500, 1 + 1),
        (35, 1 + 17),
        (20, 1 + 25),
        (10, 50),
        (9, 1 + 2 * 50),
        (4, 1 + 3 * 50),
        (2, 1 + 5 * 50),
    ],
)
def test_samples_share_forward_passes_of_no_more_than_batch_size(batch_size: int | None, passes: int) -> None:
    model, x = Counting(net()), inputs(10, 5)
    pred = tn.mc_predict(model, x, samples=50, seed=0, batch_size=batch_size)
    # two rows at a time are compared with three
    assert max(model.rows) <= max(batch_size or 500, 3)
    assert len(model.rows) == passes
    torch.testing.assert_close(pred.samples, tn.mc_predict(net(), x, samples=50, seed=0).samples)


def one_pass_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_passes, "_AT_ONCE", 0)
    monkeypatch.setattr(_passes, "_LEAST", 1 << 30)


FOLDABLE = {
    "a mask of all rows beside them": (
        Apply(lambda drop, x, mask: F.scaled_dot_product_attention(drop(x), x, x, mask).mean(1), nn.Dropout(0.5)),
        (inputs(7, 4, 6), inputs(4, 4) > 0),
    ),
    "a number": (Apply(lambda drop, x, factor: drop(x) * factor, tn.Dropout(0.5)), (inputs(7, 4), 3.0)),
    "rows flattened with time": (
        Apply(lambda drop, x: drop(x.flatten(0, 1)).view(x.shape), tn.Dropout(0.5)),
        (inputs(7, 4, 6),),
    ),
    "time first": (
        Apply(lambda rnn, x: rnn(x.transpose(0, 1))[0][-1], nn.GRU(6, 5, 2, dropout=0.5)),
        (inputs(7, 4, 6),),
    ),
    "one row": (net(), (inputs(1, 5),)),
    "half precision": (net().bfloat16(), (inputs(7, 5).bfloat16(),)),
    "infinities": (Apply(lambda drop, x: 1 / drop(x.clamp(min=0)), tn.Dropout(0.5)), (inputs(7, 5),)),
    "classes": (Apply(lambda drop, x: drop(x).argmax(-1), tn.Dropout(0.5)), (inputs(7, 5),)),
    "a flag beside dropout": (net(nn.Dropout), (inputs(7, 5),)),
}
NOT_FOLDABLE = {
    "rows less their mean": (Apply(lambda drop, x: (y := drop(x)) - y.mean(0), tn.Dropout(0.5)), (inputs(7, 5),)),
    "one row less its mean": (Apply(lambda drop, x: (y := drop(x)) - y.mean(0), tn.Dropout(0.5)), (inputs(1, 5),)),
    "statistics of the batch": (
        nn.Sequential(tn.Dropout(0.5), nn.BatchNorm1d(5, track_running_stats=False)),
        (inputs(7, 5),),
    ),
    "a number for each row": (
        Apply(lambda drop, x: drop(x) + torch.arange(1000.0)[: len(x), None], tn.Dropout(0.5)),
        (inputs(7, 5),),
    ),
    "a sum over rows": (Apply(lambda drop, x: drop(x).cumsum(0), tn.Dropout(0.5)), (inputs(7, 5),)),
    "no rows in the output": (Apply(lambda drop, x: drop(x).mean(0), tn.Dropout(0.5)), (inputs(7, 5),)),
    "rows that are steps": (Apply(lambda rnn, x: rnn(x)[0], nn.LSTM(5, 6, 2, dropout=0.5)), (inputs(7, 3, 5),)),
    "rows that are channels": (nn.Sequential(nn.Dropout1d(0.5)), (inputs(7, 5),)),
    "no rows among the arguments": (
        Apply(lambda drop, factor: drop(torch.ones(7, 3)) * factor, tn.Dropout(0.5)),
        (torch.tensor(3.0),),
    ),
    "other random numbers": (Apply(lambda drop, x: drop(x) + torch.randn(5), tn.Dropout(0.5)), (inputs(7, 5),)),
    "rows in the second dimension": (
        Apply(lambda drop, x: drop(x.T).T, tn.Dropout(0.5)),
        (inputs(7, 7),),
    ),
    "nodes that are rows": (Apply(lambda drop, x: drop(x.T).T, tn.NodeDropout(0.5)), (inputs(7, 5),)),
    "no more rows than those": (Apply(lambda drop, x: drop(x) * torch.ones(7, 1), tn.Dropout(0.5)), (inputs(7, 5),)),
}


@pytest.mark.parametrize("name", [*FOLDABLE, *NOT_FOLDABLE])
def test_folding_is_left_where_it_would_change_something(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, args = {**FOLDABLE, **NOT_FOLDABLE}[name]
    if args[0].ndim:
        model = Counting(model)
    folded = tn.mc_predict(model, args, samples=9, seed=0).samples
    if args[0].ndim:
        assert (len(model.rows) < 9) == (name in FOLDABLE)
    one_pass_a_sample(monkeypatch)
    tolerance = {"rtol": 0.02, "atol": 0.02} if folded.dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(tn.mc_predict(model, args, samples=9, seed=0).samples, folded, **tolerance)


@pytest.mark.parametrize("name", [*FOLDABLE, *NOT_FOLDABLE])
def test_many_rows_are_split_where_that_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, args = {**FOLDABLE, **NOT_FOLDABLE}[name]
    if args[0].ndim:
        model = Counting(model)
    with monkeypatch.context() as context:
        one_pass_a_sample(context)
        looped = tn.mc_predict(model, args, samples=4, seed=0).samples
    monkeypatch.setattr(_passes, "_AT_ONCE", 0)
    monkeypatch.setattr(_passes, "_LEAST", 3)
    if args[0].ndim:
        model.rows.clear()
    split = tn.mc_predict(model, args, samples=4, seed=0).samples
    tolerance = {"rtol": 0.02, "atol": 0.02} if split.dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(split, looped, **tolerance)
    if args[0].ndim and len(args[0]) > 1:
        assert (min(model.rows) <= 3 and len(model.rows) >= 1 + 3 * 4) == (name in FOLDABLE)


@pytest.mark.parametrize("name", [name for name, (_, (x,)) in NOT_FOLDABLE.items() if x.ndim and len(x) > 1])
@pytest.mark.parametrize("batch_size", [2, 3, 6])
def test_batches_that_would_change_something_are_refused(name: str, batch_size: int) -> None:
    model, args = NOT_FOLDABLE[name]
    if name == "no more rows than those":
        with pytest.raises(RuntimeError, match="must match the size"):
            tn.mc_predict(model, args, samples=3, seed=0, batch_size=batch_size)
        return
    with pytest.raises(ValueError, match="leave `batch_size` out"):
        tn.mc_predict(model, args, samples=3, seed=0, batch_size=batch_size)


@pytest.mark.parametrize("trouble", ["raises", "draws"])
@pytest.mark.parametrize("grad", [False, True])
def test_trouble_in_a_later_pass_is_trouble_in_time(trouble: str, grad: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = iter(range(1000))

    def forward(drop: nn.Module, x: Tensor) -> Tensor:
        if len(x) > 7 and next(passes) == 2:
            if trouble == "raises":
                raise MemoryError
            x = x + torch.randn(())
        return drop(x)

    x = inputs(7, 5)
    monkeypatch.setattr(_passes, "_AT_ONCE", 4 * x.numel())
    pred = tn.mc_predict(Apply(forward, tn.Dropout(0.5)), x, samples=18, seed=0, grad=grad)
    assert next(passes) == 3 + 2 * (trouble == "draws")
    one_pass_a_sample(monkeypatch)
    expected = tn.mc_predict(tn.Dropout(0.5), x, samples=18, seed=0).samples
    torch.testing.assert_close(pred.samples, expected)


def test_an_activation_that_fails_is_not_taken_for_the_model() -> None:
    def fail(out: Tensor) -> Tensor:
        raise RuntimeError("no good")

    with pytest.raises(RuntimeError, match="no good"):
        tn.mc_predict(net(), inputs(7, 5), activation=fail)


def test_others_dropout_layers_are_known_by_their_names() -> None:
    class StochasticDepth(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.empty(len(x), 1).bernoulli_(0.5) * 2 if self.training else x

    x = torch.ones(30, 3)
    model = nn.Sequential(StochasticDepth(), nn.Linear(3, 3)).eval()
    samples = tn.mc_predict(model[0], x, samples=4, seed=0).samples
    assert sorted(samples.unique().tolist()) == [0, 2]
    assert torch.equal(samples, tn.mc_predict(model[0], x, samples=4, seed=0).samples)
    assert float(tn.mc_predict(model, x, samples=4, seed=0).std.max()) > 0
    with pytest.raises(ValueError, match="random numbers outside of its dropout layers"):
        tn.mc_predict(model, x, samples=4, seed=0, batch_size=7)


def test_a_sample_of_rows_is_the_sample_of_all() -> None:
    x = inputs(9, 5)
    whole = tn.mc_predict(net(), x, samples=6, seed=2).samples
    torch.testing.assert_close(tn.mc_predict(net(), x[:4], samples=6, seed=2).samples, whole[:, :4])


@pytest.mark.parametrize("seed", [0, 2**63, 2**64, 2**200 + 1])
def test_any_integer_is_a_seed(seed: int) -> None:
    first = tn.mc_predict(net(), inputs(7, 5), samples=3, seed=seed).samples
    assert torch.equal(first, tn.mc_predict(net(), inputs(7, 5), samples=3, seed=seed).samples)
    others = [tn.mc_predict(net(), inputs(7, 5), samples=4, seed=seed + shift).samples for shift in (1, 2**64)]
    for other, sample in itertools.product(others, first):
        assert not any(torch.equal(sample, theirs) for theirs in other)


def test_gradients_are_those_of_one_pass_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def slope() -> Tensor:
        x = inputs(7, 5).requires_grad_()
        pred = tn.mc_predict(net(nn.Dropout), x, samples=6, seed=0, grad=True)
        (slope,) = torch.autograd.grad(pred.std.sum(), x)
        return slope

    folded = slope()
    one_pass_a_sample(monkeypatch)
    torch.testing.assert_close(slope(), folded)


def test_a_layer_called_twice_draws_twice() -> None:
    model = Apply(lambda drop, x: torch.stack([drop(x), drop(x)], 1), nn.Dropout(0.5))
    x = torch.ones(6, 50)
    pred = tn.mc_predict(model, x, samples=2, seed=0)
    assert not torch.equal(pred.samples[:, :, 0], pred.samples[:, :, 1])
    assert torch.equal(pred.samples, tn.mc_predict(model, x, samples=2, seed=0, batch_size=4).samples)


def test_layers_and_rows_draw_apart() -> None:
    model = Apply(lambda a, b, x: torch.stack([a(x), b(x)], 1), nn.Dropout(0.5), tn.Dropout(0.5))
    pred = tn.mc_predict(model, torch.ones(6, 64), samples=3, seed=0)
    masks = pred.samples.reshape(-1, 64)
    assert len({tuple(mask.tolist()) for mask in masks}) == len(masks)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("drop", [tn.Dropout, nn.Dropout])
def test_masks_have_the_rate_and_scale(drop: Callable[[float], nn.Module], p: float) -> None:
    pred = tn.mc_predict(drop(p), torch.ones(50, 41), samples=40, seed=0)
    dropped = float((pred.samples == 0).double().mean())
    assert abs(dropped - p) < 5 * math.sqrt(p * (1 - p) / pred.samples.numel())
    kept = pred.samples[pred.samples != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("drop", "shape", "channels"),
    [
        (nn.Dropout1d, (4, 6, 5), (4, 6)),
        (nn.Dropout1d, (6, 5), (6,)),
        (nn.Dropout2d, (4, 6, 5, 2), (4, 6)),
        (nn.Dropout3d, (4, 6, 2, 2, 2), (4, 6)),
        (nn.Dropout3d, (6, 2, 2, 2), (6,)),
    ],
)
def test_channels_go_whole(drop: type[nn.Module], shape: tuple[int, ...], channels: tuple[int, ...]) -> None:
    samples = tn.mc_predict(drop(0.5), torch.ones(shape), samples=9, seed=0).samples
    flat = samples.reshape(9, *channels, -1)
    assert torch.equal(flat, flat[..., :1].expand_as(flat))
    assert set(samples.flatten().tolist()) == {0.0, 2.0}
    assert 0 < int((flat[..., 0] == 0).sum()) < flat[..., 0].numel()


@pytest.mark.parametrize("drop", [nn.AlphaDropout, nn.FeatureAlphaDropout])
@pytest.mark.parametrize("p", [0.25, 0.5])
def test_alpha_dropout_takes_torchs_values(drop: type[nn.Module], p: float) -> None:
    x = torch.full((64, 64), 0.7)
    torch.manual_seed(0)
    theirs = sorted(set(drop(p).train()(x).flatten().tolist()))
    ours = sorted(set(tn.mc_predict(drop(p), x, samples=2, seed=0).samples.flatten().tolist()))
    assert ours == pytest.approx(theirs, abs=1e-5) and len(ours) == 2


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = inputs(200, 500)
    samples = tn.mc_predict(nn.AlphaDropout(0.3), x, samples=2, seed=0).samples
    assert abs(float(samples.mean()) - float(x.mean())) < 0.02
    assert abs(float(samples.std()) - float(x.std())) < 0.02


@pytest.mark.parametrize("drop", [tn.Dropout, nn.Dropout, nn.Dropout1d, nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_all_dropped_is_zero_as_in_torch(drop: type[nn.Module]) -> None:
    x = inputs(4, 3, 2)
    assert torch.equal(tn.mc_predict(drop(1.0), x, samples=2, seed=0).samples.abs(), torch.zeros(2, 4, 3, 2))
    assert torch.equal(drop(1.0).train()(x).abs(), torch.zeros(4, 3, 2))


@pytest.mark.parametrize("first", [tn.Dropout, nn.Dropout, nn.Dropout1d, tn.AlphaDropout])
def test_layers_in_place_do_not_change_the_input(first: Callable[..., nn.Module]) -> None:
    x = inputs(4, 6, 3)
    before = x.clone()
    inplace = tn.mc_predict(nn.Sequential(first(0.5, inplace=True)), x, samples=3, seed=0).samples
    assert torch.equal(x, before)
    assert torch.equal(inplace, tn.mc_predict(nn.Sequential(first(0.5)), x, samples=3, seed=0).samples)
    used = Apply(lambda drop, x: (drop(x), x)[1], first(0.5, inplace=True))
    assert torch.equal(tn.mc_predict(used, x, samples=3, seed=0).samples, inplace)


def test_batch_norm_uses_its_statistics() -> None:
    """Dropout keeps the mean of what is linear behind it: the network in eval mode."""
    model = net(p=0.1)
    model[1].running_mean.fill_(-1.0)
    x = inputs(7, 5)
    expected = model.eval()(x)
    pred = tn.mc_predict(model.train(), x, samples=1000, seed=0)
    torch.testing.assert_close(pred.mean, expected, atol=0.06, rtol=0)


def test_an_encoder_layer_is_not_sampled_on_the_fused_path() -> None:
    """As spread as the layers are in training mode."""
    model = Encoder(0.3, attention=False).eval()
    x = inputs(5, 4, 8)
    pred = tn.mc_predict(model, x, samples=300, seed=0)
    assert float(pred.std.min()) > 0
    with torch.no_grad():
        torch.manual_seed(0)
        theirs = torch.stack([model.train()(x) for _ in range(300)])
    torch.testing.assert_close(pred.mean, theirs.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(pred.std, theirs.std(0), atol=0.1, rtol=0)


def test_gradients_on_request() -> None:
    x = inputs(4, 5).requires_grad_()
    pred = tn.mc_predict(net(), x, samples=3, seed=0, grad=True)
    (slope,) = torch.autograd.grad(pred.std.sum(), x)
    assert float(slope.abs().sum()) > 0


def test_activations() -> None:
    model, x = net(), inputs(7, 5)
    logits = tn.mc_predict(model, x, samples=3, seed=0).samples
    soft = tn.mc_predict(model, x, samples=3, seed=0, activation="softmax", batch_size=2)
    torch.testing.assert_close(soft.samples, logits.softmax(-1))
    assert soft.entropy.shape == soft.mutual_information.shape == (7,)
    assert float(soft.mutual_information.min()) > 0
    sure = tn.mc_predict(model, x, samples=3, seed=0, activation="sigmoid")
    torch.testing.assert_close(sure.samples, torch.sigmoid(logits))
    assert sure.entropy.shape == (7, 3)
    own = tn.mc_predict(model, x, samples=3, seed=0, activation=torch.exp)
    torch.testing.assert_close(own.samples, torch.exp(logits))
    assert own.probabilities is None


def test_several_arguments() -> None:
    model = Apply(lambda drop, a, b, factor: drop(a + b) * factor, tn.Dropout(0.5))
    a, b = inputs(6, 4), torch.ones(6, 1)
    whole = tn.mc_predict(model, (a, b, 3.0), samples=2, seed=0).samples
    assert torch.equal(whole, tn.mc_predict(model, (a, b, 3.0), samples=2, seed=0, batch_size=4).samples)
    with pytest.raises(ValueError, match="alike in their first dimension"):
        tn.mc_predict(model, (a, torch.ones(1, 4), 3.0), samples=2, batch_size=4)


def test_modes_return_after_an_error() -> None:
    def fail(*_: object) -> Tensor:
        raise RuntimeError("no good")

    model = Apply(fail, nn.Dropout(0.5), nn.BatchNorm1d(3))
    model.layers[1].eval()
    modes, state = [module.training for module in model.modules()], torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no good"):
        tn.mc_predict(model, torch.ones(2, 3))
    assert [module.training for module in model.modules()] == modes
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Linear(5, 3), (2, 5)),
        (net(p=0.0)[:5], (2, 5)),
        (net(nn.Dropout, p=0.0)[:5], (2, 5)),
        (Recurrent(nn.LSTM, 0.0), (2, 4, 5)),
        (nn.Sequential(nn.RReLU(), nn.Linear(5, 3)), (2, 5)),
        (Apply(lambda layer, x: F.dropout(layer(x), 0.5, False), nn.Linear(5, 3)), (2, 5)),
    ],
)
def test_nothing_random_is_refused(model: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"nothing in \w+ is random.*put a tn.Dropout into it"):
        tn.mc_predict(model, torch.ones(shape))


def test_other_random_numbers_refuse_batches() -> None:
    model = Apply(lambda drop, x: drop(x) + torch.randn_like(x), nn.Dropout(0.5))
    x = torch.ones(6, 3)
    whole = tn.mc_predict(model, x, samples=2, seed=0).samples
    assert torch.equal(whole, tn.mc_predict(model, x, samples=2, seed=0).samples)
    with pytest.raises(ValueError, match="random numbers outside of its dropout layers"):
        tn.mc_predict(model, x, samples=2, seed=0, batch_size=4)


@pytest.mark.parametrize("batch_size", [2, 3, 4, 5])
def test_a_layer_that_sees_other_rows_refuses_batches(batch_size: int) -> None:
    """Sequence first: dimension 0 of what it sees is time, 4 steps, not the rows."""
    model = Apply(lambda drop, x: drop(x.transpose(0, 1)).transpose(0, 1), nn.Dropout(0.5))
    x = torch.ones(8, 4, 3)
    assert tn.mc_predict(model, x, samples=2, seed=0).samples.shape == (2, 8, 4, 3)
    with pytest.raises(ValueError, match=r"(noise of shape|differently in another batch).*leave `batch_size` out"):
        tn.mc_predict(model, x, samples=2, seed=0, batch_size=batch_size)


def test_outputs_that_do_not_batch_are_refused() -> None:
    model = Apply(lambda drop, x: drop(x).mean(0), nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"a batch of 2 rows gave an output of shape \(3,\)"):
        tn.mc_predict(model, torch.ones(6, 3), samples=2, batch_size=2)
    with pytest.raises(TypeError, match="must return a tensor, got tuple"):
        tn.mc_predict(Apply(lambda drop, x: (drop(x), x), nn.Dropout(0.5)), torch.ones(6, 3))


def test_a_subclass_with_its_own_forward_is_sampled() -> None:
    class Loud(nn.Dropout):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) + 1

    pred = tn.mc_predict(Loud(0.5), torch.ones(4, 9), samples=3, seed=0)
    assert set(pred.samples.flatten().tolist()) == {1.0, 3.0}
    assert torch.equal(
        pred.samples, tn.mc_predict(Loud(0.5), torch.ones(4, 9), samples=3, seed=0, batch_size=2).samples
    )


def test_a_layers_own_generator_is_left_alone() -> None:
    source = torch.Generator().manual_seed(0)
    before = source.get_state()
    tn.mc_predict(tn.Dropout(0.5, generator=source), torch.ones(4, 9), samples=3, seed=0)
    assert torch.equal(source.get_state(), before)


def test_compiled_models_are_sampled() -> None:
    model, x = net(), inputs(7, 5)
    compiled = torch.compile(model, backend="eager")
    compiled.eval()(x)
    torch.testing.assert_close(
        tn.mc_predict(compiled, x, samples=5, seed=0).samples, tn.mc_predict(model, x, samples=5, seed=0).samples
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_models_are_refused() -> None:
    with pytest.raises(TypeError, match="scripted module cannot be seeded; give the module it was made of"):
        tn.mc_predict(torch.jit.script(nn.Sequential(nn.Dropout(0.5))), torch.ones(2, 3))


@pytest.mark.parametrize(("name", "value"), [("samples", 0), ("seed", -1), ("batch_size", 0)])
def test_settings_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be >= .*, got {value}"):
        tn.mc_predict(net(), inputs(4, 5), **{name: value})
    with pytest.raises(ValueError, match="`activation` must be"):
        tn.mc_predict(net(), inputs(4, 5), activation="relu")  # type: ignore[arg-type]


def test_no_rows_give_no_predictions() -> None:
    assert tn.mc_predict(net(), torch.ones(0, 5), samples=3, batch_size=4).samples.shape == (3, 0, 3)
