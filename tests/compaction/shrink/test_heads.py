import copy
import itertools
import json
import pickle
import sys
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.compaction.shrink._heads import FewerHeads

WIDTH, HEADS, DEPTH = 12, 3, 4
Call = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["thinnet.compaction._cost"], "SECONDS", 0.0)


class Net(nn.Module):
    """Attention and how it is called."""

    def __init__(self, call: Call, **settings: object) -> None:
        super().__init__()
        self.attention, self.call = nn.MultiheadAttention(WIDTH, HEADS, **settings), call

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.call(self.attention, *inputs)


def net(call: Call, **settings: object) -> Net:
    model = Net(call, **settings)
    randomise(model, 0)
    return model.double().eval()


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))


def sample(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rows(heads: Iterable[int], depth: int = DEPTH) -> list[int]:
    return [depth * head + place for head in heads for place in range(depth)]


@torch.no_grad()
def silence(attention: nn.MultiheadAttention, heads: Iterable[int], depth: int = DEPTH) -> None:
    """Zero the values of these heads."""
    dead, width = rows(heads, depth), attention.embed_dim
    if attention.in_proj_weight is None:
        attention.v_proj_weight[dead] = 0
    else:
        attention.in_proj_weight[2 * width :][dead] = 0
    if attention.in_proj_bias is not None:
        attention.in_proj_bias[2 * width :][dead] = 0
    if attention.bias_v is not None:
        attention.bias_v[..., dead] = 0


def alone(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    return attention(x, x, x, need_weights=False)[0]


def weighed(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    return attention(x, x, x)[0]


def assert_equal(one: nn.Module, other: nn.Module, *inputs: Tensor) -> None:
    """Outputs, and the gradients of floating-point inputs."""
    found = []
    for module in (one, other):
        given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
        leaves = [x for x in given if x.requires_grad]
        out = module(*given)
        weights = torch.arange(out.numel(), dtype=out.dtype).sin().view_as(out)
        found.append((out, *torch.autograd.grad((out * weights).sum(), leaves)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


def assert_heads(attention: nn.MultiheadAttention, heads: int) -> None:
    width = heads * DEPTH
    assert (attention.num_heads, attention.head_dim, attention.embed_dim) == (heads, DEPTH, WIDTH)
    assert attention.out_proj.weight.shape == (WIDTH, width)
    if attention.in_proj_weight is not None:
        assert attention.in_proj_weight.shape == (3 * width, WIDTH)


@pytest.mark.slow
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("call", [alone, weighed])
@pytest.mark.parametrize("bias", [True, False])
def test_silent_heads_go(call: Call, batch_first: bool, bias: bool) -> None:
    model = net(call, batch_first=batch_first, bias=bias)
    silence(model.attention, [0, 2])
    small, report = tn.compact(model, sample(2, 5, WIDTH))
    assert_heads(small.attention, 1)
    assert report.recipe["kept"]["attention.out_proj.weight"] == {"1": [4, 5, 6, 7]}
    assert_equal(model, small, sample(2, 5, WIDTH))
    assert_equal(model, small, sample(4, 3, WIDTH))


def test_heads_that_nobody_reads_go_with_their_gradients() -> None:
    model = net(alone, batch_first=True)
    with torch.no_grad():
        model.attention.out_proj.weight[:, rows([1])] = 0
    small, report = tn.compact(model, sample(2, 5, WIDTH))
    assert_heads(small.attention, 2)
    for each in (model, small):
        each(sample(2, 5, WIDTH)).sin().sum().backward()
    kept = report.recipe["kept"]
    for name, parameter in small.named_parameters():
        gradient = model.get_parameter(name).grad
        for dim, indices in kept.get(name, {}).items():
            gradient = gradient.index_select(int(dim), torch.tensor(indices))
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("call", [alone, weighed])
def test_nothing_goes_of_attention_without_zeros(call: Call) -> None:
    model = net(call)
    small, report = tn.compact(model, sample(2, 5, WIDTH))
    assert report.removed == {}
    assert type(small.attention) is nn.MultiheadAttention


def test_a_head_with_one_value_left_stays() -> None:
    model = net(alone)
    silence(model.attention, [1])
    with torch.no_grad():
        model.attention.in_proj_weight[2 * WIDTH + 5, 0] = 0.1
    assert tn.compact(model, sample(2, 5, WIDTH))[1].removed == {}


@pytest.mark.parametrize("average", [True, False])
def test_attention_weights_that_the_model_returns_hold_the_heads(average: bool) -> None:
    model = net(lambda attention, x: attention(x, x, x, average_attn_weights=average)[1])
    silence(model.attention, [1])
    assert tn.compact(model, sample(2, 5, WIDTH))[1].removed == {}


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_keys_and_values_of_other_widths(weights: bool, bias: bool) -> None:
    model = net(lambda a, q, k, v: a(q, k, v, need_weights=weights)[0], kdim=5, vdim=7, bias=bias)
    silence(model.attention, [1])
    inputs = sample(6, 2, WIDTH), sample(4, 2, 5), sample(4, 2, 7)
    small, _ = tn.compact(model, inputs)
    assert_heads(small.attention, 2)
    assert [len(small.attention.get_parameter(f"{n}_proj_weight")) for n in "qkv"] == [8, 8, 8]
    assert_equal(model, small, *inputs)


@pytest.mark.parametrize(
    "call", [lambda a, x, y: a(x, y, y)[0], lambda a, x, y: a(x, y, y.tanh(), need_weights=False)[0]]
)
def test_attention_to_another_sequence(call: Call) -> None:
    model = net(call, batch_first=True)
    silence(model.attention, [1])
    inputs = sample(2, 5, WIDTH), sample(2, 7, WIDTH)
    small, _ = tn.compact(model, inputs)
    assert_heads(small.attention, 2)
    assert_equal(model, small, *inputs)


def causal(length: int) -> Tensor:
    return nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize(
    ("masks", "given"),
    [
        (("key_padding_mask",), (torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1]]).bool(),)),
        (("attn_mask",), (sample(5, 5, seed=2),)),
        (("attn_mask", "is_causal"), (causal(5), True)),
        (("attn_mask", "key_padding_mask"), (causal(5), sample(2, 5, seed=3))),
    ],
)
def test_masks(masks: tuple[str, ...], given: tuple[Tensor | bool, ...], weights: bool) -> None:
    def call(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
        return attention(x, x, x, need_weights=weights, **dict(zip(masks, given, strict=True)))[0]

    model = net(call, batch_first=True)
    silence(model.attention, [1])
    small, _ = tn.compact(model, sample(2, 5, WIDTH))
    assert_heads(small.attention, 2)
    assert_equal(model, small, sample(2, 5, WIDTH, seed=4))


def test_a_mask_for_each_head_holds_the_heads() -> None:
    model = net(lambda a, x, mask: a(x, x, x, attn_mask=mask, need_weights=False)[0])
    silence(model.attention, [1])
    assert tn.compact(model, (sample(5, 2, WIDTH), sample(2 * HEADS, 5, 5)))[1].removed == {}


@pytest.mark.parametrize("extra", ["add_bias_kv", "add_zero_attn"])
def test_extra_keys_lose_the_same_heads(extra: str) -> None:
    model = net(alone, **{extra: True})
    silence(model.attention, [1])
    small, _ = tn.compact(model, sample(5, 2, WIDTH))
    assert_heads(small.attention, 2)
    if extra == "add_bias_kv":
        assert small.attention.bias_k.shape == small.attention.bias_v.shape == (1, 1, 8)
    assert_equal(model, small, sample(5, 2, WIDTH))


def test_a_narrower_input_and_output() -> None:
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Linear(5, WIDTH), nn.Linear(WIDTH, 2)
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.after(alone(self.attention, self.before(x)))

    model = Between().double().eval()
    randomise(model, 0)
    with torch.no_grad():
        model.attention.in_proj_weight[:, 3] = 0
        model.after.weight[:, [0, 8]] = 0
    small, report = tn.compact(model, sample(2, 6, 5))
    assert (small.before.out_features, small.after.in_features) == (11, 10)
    assert small.attention.num_heads == HEADS
    assert_equal(model, small, sample(2, 6, 5))
    again = tn.rebuild(Between().double().eval(), report.recipe)
    again.load_state_dict(small.state_dict())
    with torch.no_grad():  # where torch's own class would take its fused path
        assert torch.equal(again(sample(2, 6, 5)), small(sample(2, 6, 5)))


def test_a_recipe_carries_the_heads_that_are_left() -> None:
    model = net(alone)
    silence(model.attention, [1])
    small, report = tn.compact(model, sample(2, 5, WIDTH))
    again = tn.rebuild(net(alone), json.loads(json.dumps(report.recipe)))
    assert isinstance(again.attention, nn.MultiheadAttention)
    assert again.load_state_dict(small.state_dict()) == small.load_state_dict(again.state_dict())
    assert list(again.state_dict()) == list(model.state_dict())
    for each in (again, copy.deepcopy(small), pickle.loads(pickle.dumps(again.attention))):
        attention = getattr(each, "attention", each)
        assert torch.equal(alone(attention, sample(2, 5, WIDTH)), small(sample(2, 5, WIDTH)))


def test_what_lost_heads_can_lose_more() -> None:
    model = net(weighed)
    silence(model.attention, [0])
    small, _ = tn.compact(model, sample(2, 5, WIDTH))
    with torch.no_grad():
        small.attention.in_proj_weight[20:] = 0
        small.attention.in_proj_bias[20:] = 0
    smaller, _ = tn.compact(small, sample(2, 5, WIDTH))
    assert_heads(smaller.attention, 1)
    assert_equal(small, smaller, sample(2, 5, WIDTH))


def test_a_class_of_the_users_own_is_left_whole() -> None:
    class Own(nn.MultiheadAttention):
        pass

    model = net(alone)
    model.attention.__class__ = Own
    silence(model.attention, [1])
    small, report = tn.compact(model, sample(2, 5, WIDTH))
    assert report.removed == {}
    assert type(small.attention) is Own


class Encoder(nn.Module):
    """Torch's encoder, of two layers with four heads, in its fused path where it takes it."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=not norm_first)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("dead", [{0: [1]}, {1: [0, 2]}, {0: [3], 1: [0, 2]}])
def test_torchs_encoder_in_every_mode(dead: dict[int, list[int]], norm_first: bool) -> None:
    model = Encoder(norm_first).double().eval()
    randomise(model, 0)
    for place, heads in dead.items():
        silence(model.encoder.layers[place].self_attn, heads)
    padding = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]).bool()
    x = sample(3, 5, 16)
    small, _ = tn.compact(model, (x, padding))
    left = [layer.self_attn.num_heads for layer in small.encoder.layers]
    assert left == [4 - len(dead.get(place, [])) for place in (0, 1)]
    for training, gradients in itertools.product((True, False), (True, False)):
        model.train(training), small.train(training)
        with torch.set_grad_enabled(gradients):
            torch.testing.assert_close(small(x, padding), model(x, padding), rtol=1e-9, atol=1e-9)
    # a layer by itself, where torch's own runs in one fused operation
    with torch.no_grad():
        for one, other in zip(model.encoder.layers, small.encoder.layers, strict=True):
            torch.testing.assert_close(other(x), one(x), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_torchs_encoder_and_decoder() -> None:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = nn.Transformer(16, 4, 1, 1, 24, dropout=0.0, batch_first=True)
            self.head = nn.Linear(16, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.head(self.transformer(x, y, tgt_mask=causal(y.shape[1]), tgt_is_causal=True))

    model = Translator().double().eval()
    randomise(model, 0)
    (encoder,), (decoder,) = model.transformer.encoder.layers, model.transformer.decoder.layers
    silence(encoder.self_attn, [1])
    silence(decoder.self_attn, [0, 3])
    silence(decoder.multihead_attn, [2])
    inputs = sample(2, 6, 16), sample(2, 5, 16)
    small, _ = tn.compact(model, inputs)
    left = [m.num_heads for m in small.modules() if isinstance(m, nn.MultiheadAttention)]
    assert left == [3, 2, 3]
    assert_equal(model, small, *inputs)
    model.train(), small.train()
    assert_equal(model, small, *inputs)


def as_fewer(attention: nn.MultiheadAttention) -> FewerHeads:
    """The same with all of its heads in the class for fewer."""
    other = copy.deepcopy(attention)
    other.__class__ = FewerHeads
    assert isinstance(other, FewerHeads)
    return other


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("extra", [True, False])
@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"kdim": 5, "vdim": 7}])
def test_with_all_heads_it_is_torchs_own(settings: dict[str, object], extra: bool, batch_first: bool) -> None:
    attention = net(alone, batch_first=batch_first, add_bias_kv=extra, add_zero_attn=extra, **settings).attention
    other = as_fewer(attention)
    lead = (2, 5) if batch_first else (5, 2)
    query = sample(*lead, WIDTH)
    key, value = sample(*lead, attention.kdim, seed=2), sample(*lead, attention.vdim, seed=3)
    hidden = torch.tensor([[False] * 3 + [True] * 2, [False] * 5])
    masks = [None, sample(5, 5), sample(5, 5) > 1, sample(2 * HEADS, 5, 5), causal(5)]
    for mask, padding, weights, average in itertools.product(masks, [None, hidden], [True, False], [True, False]):
        if padding is not None and mask is not None and mask.dtype != torch.bool:
            padding = torch.zeros(2, 5, dtype=torch.float64).masked_fill(padding, -torch.inf)
        asked = {
            "key_padding_mask": padding,
            "attn_mask": mask,
            "need_weights": weights,
            "average_attn_weights": average,
        }
        wanted, found = attention(query, key, value, **asked), other(query, key, value, **asked)
        torch.testing.assert_close(found[0], wanted[0], rtol=1e-9, atol=1e-9)
        assert (found[1] is None) == (wanted[1] is None) == (not weights)
        if weights:
            torch.testing.assert_close(found[1], wanted[1], rtol=1e-9, atol=1e-9)
    single = query.select(1 - batch_first, 0)
    wanted, found = (
        m(single, key.select(1 - batch_first, 0), value.select(1 - batch_first, 0)) for m in (attention, other)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_dropout_acts_on_the_weights_in_training() -> None:
    attention = net(alone, dropout=0.5).attention
    other = as_fewer(attention)
    x = sample(5, 2, WIDTH)
    assert torch.equal(other(x, x, x)[0], other(x, x, x)[0])
    other.train()
    _, weights = other(x, x, x, average_attn_weights=False)
    zero = weights == 0
    assert 0.2 < float(zero.double().mean()) < 0.8
    whole = attention.eval()(x, x, x, average_attn_weights=False)[1]
    torch.testing.assert_close(weights[~zero], 2 * whole[~zero], rtol=1e-9, atol=1e-9)
    assert not torch.equal(alone(other, x), alone(other, x))


def test_what_it_cannot_do_it_says() -> None:
    model = net(alone)
    silence(model.attention, [1])
    small, _ = tn.compact(model, sample(5, 2, WIDTH))
    x = sample(5, 2, WIDTH)
    with pytest.raises(ValueError, match=r"another number of heads than the 2 that are left; give \(L, S\)"):
        small.attention(x, x, x, attn_mask=sample(2 * HEADS, 5, 5))
    with pytest.raises(ValueError, match="`is_causal` is a hint about `attn_mask`; give the mask, too"):
        small.attention(x, x, x, is_causal=True)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_taken_for_self_attention_only() -> None:
    other = as_fewer(net(alone, batch_first=True).attention)
    parts = [sample(3, WIDTH), sample(5, WIDTH)]
    x = torch.nested.nested_tensor(parts)
    out, _ = other(x, x, x)
    for part, found in zip(parts, out.unbind(), strict=True):
        torch.testing.assert_close(found, other(part, part, part)[0], rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="nested tensors are taken for self-attention only; pad and mask them"):
        other(x, torch.nested.nested_tensor(parts), x)
