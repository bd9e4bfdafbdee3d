"""Layers under a mask, against the same layers with the masked weight written into them."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import thinnet as tn
from thinnet._random import keep_mask, threshold
from thinnet.dropout import Noise, WeightMask, weight_masks

P = 0.4
SCALE = 65536 / threshold(P)


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    attribute: str
    inputs: tuple[tuple[int, ...], ...] = ((3, 8),)
    owner: str = ""

    def arguments(self) -> tuple[Tensor, ...]:
        draw = torch.Generator().manual_seed(1)
        if "Embedding" in type(self.make()).__name__:
            return (torch.randint(9, self.inputs[0], generator=draw),)
        return tuple(torch.randn(shape, generator=draw) for shape in self.inputs)


SEQUENCE = ((5, 2, 8),)
CASES = {
    "linear": Case(lambda: nn.Linear(8, 7), "weight"),
    "its bias": Case(lambda: nn.Linear(8, 7), "bias"),
    "bilinear": Case(lambda: nn.Bilinear(8, 8, 7), "weight", ((3, 8), (3, 8))),
    "convolution": Case(lambda: nn.Conv2d(2, 6, 3, groups=2), "weight", ((2, 2, 5, 5),)),
    "transposed convolution": Case(lambda: nn.ConvTranspose1d(2, 3, 3), "weight", ((2, 2, 5),)),
    "embedding": Case(lambda: nn.Embedding(9, 8), "weight", ((4, 3),)),
    "norm": Case(lambda: nn.LayerNorm(8), "weight"),
    "lstm": Case(lambda: nn.LSTM(8, 5, 2, bidirectional=True), "weight_hh_l1_reverse", SEQUENCE),
    "projected lstm": Case(lambda: nn.LSTM(8, 5, proj_size=3), "weight_hr_l0", SEQUENCE),
    "gru": Case(lambda: nn.GRU(8, 5), "weight_hh_l0", SEQUENCE),
    "rnn": Case(lambda: nn.RNN(8, 5), "weight_ih_l0", SEQUENCE),
    "cell": Case(lambda: nn.GRUCell(8, 5), "weight_hh", ((3, 8), (3, 5))),
    "attention, inside": Case(lambda: nn.MultiheadAttention(8, 2), "in_proj_weight", SEQUENCE * 3),
    "attention, outside": Case(lambda: nn.MultiheadAttention(8, 2), "weight", SEQUENCE * 3, "out_proj"),
    "attention of other widths": Case(
        lambda: nn.MultiheadAttention(8, 2, kdim=4), "k_proj_weight", ((5, 2, 8), (5, 2, 4), (5, 2, 8))
    ),
}


def linear(p: float = P, *, seed: int | None = None, name: str = "weight") -> tuple[nn.Linear, WeightMask]:
    torch.manual_seed(0)
    layer = nn.Linear(30, 40)
    mask = WeightMask(tn.DropConnect(p, seed), name, "weight")
    mask.put_on(layer)
    return layer, mask


def weight_of(layer: nn.Linear) -> Tensor:
    """W' of the next call, which one-hot rows show column by column."""
    return (layer(torch.eye(layer.in_features)) - layer.bias).T.detach()


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("training", [True, False])
def test_a_masked_layer_is_the_layer_of_the_masked_weight(case: Case, training: bool) -> None:
    torch.manual_seed(0)
    layer = case.make().train(training)
    plain = copy.deepcopy(layer)
    mask = WeightMask(tn.DropConnect(P), "any", case.attribute, case.owner)
    mask.put_on(layer)
    mask.draw(Noise(torch.Generator().manual_seed(7)))
    owner, plain_owner = (m.get_submodule(case.owner) for m in (layer, plain))
    w, plain_w = getattr(owner, case.attribute), getattr(plain_owner, case.attribute)
    factors = keep_mask(w.shape, threshold(P), generator=torch.Generator().manual_seed(7)) * SCALE
    with torch.no_grad():
        plain_w.mul_(factors)
    out, expected = first(layer(*case.arguments())), first(plain(*case.arguments()))
    torch.testing.assert_close(out, expected)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(w.grad, plain_w.grad * factors)
    assert bool((w.grad != 0).any()) and case.attribute not in vars(owner)
    for (name, p), other in zip(layer.named_parameters(), plain.parameters(), strict=True):
        if p is not w:
            torch.testing.assert_close(p.grad, other.grad, msg=name)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_call_in_training_has_a_mask_of_its_own_and_eval_has_none(case: Case) -> None:
    torch.manual_seed(0)
    layer = case.make()
    x = case.arguments()
    dense = first(copy.deepcopy(layer).eval()(*x))
    mask = WeightMask(tn.DropConnect(P), "any", case.attribute, case.owner)
    mask.put_on(layer)
    assert not torch.equal(first(layer(*x)), first(layer(*x)))
    assert torch.equal(first(layer.eval()(*x)), dense)
    first(layer.train()(*x)).sum().backward()
    copy.deepcopy(layer)  # nothing of the last call is left that cannot be copied
    mask.take_off(layer)
    assert torch.equal(first(layer(*x)), dense) and not layer._forward_hooks and not layer._forward_pre_hooks
    assert not layer._forward_hooks_always_called


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_connections_fall_at_the_rate_and_the_others_are_divided(p: float) -> None:
    layer, _ = linear(p)
    drawn = torch.stack([weight_of(layer) for _ in range(20)]) / layer.weight.detach()
    kept = drawn.abs() > 0.5
    torch.testing.assert_close(drawn[kept], torch.full_like(drawn[kept], 65536 / threshold(p)), rtol=1e-3, atol=0)
    n = drawn.numel()
    assert abs(float((~kept).double().mean()) - p) < 5 * (p * (1 - p) / n) ** 0.5


def test_a_rate_of_zero_is_the_layer_and_of_one_its_bias() -> None:
    layer, mask = linear(0.0)
    x = torch.randn(3, 30)
    dense = layer(x)
    assert torch.equal(dense, nn.functional.linear(x, layer.weight, layer.bias)) and not mask.acted
    mask.p = 1.0
    assert torch.equal(layer(x), layer.bias.expand(3, -1)) and mask.acted
    with pytest.raises(ValueError, match=r"`p` must be in \[0, 1\], got 2"):
        mask.p = 2


def test_names_parameters_and_state_are_those_of_the_plain_layer() -> None:
    layer, _ = linear()
    plain = nn.Linear(30, 40)
    layer(torch.ones(2, 30)).sum().backward()
    assert layer.state_dict().keys() == plain.state_dict().keys()
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
    assert isinstance(layer.weight, nn.Parameter) and vars(layer).keys() == vars(plain).keys()


def test_a_frozen_weight_stays_dense() -> None:
    layer, mask = linear()
    layer.weight.requires_grad_(False)
    torch.testing.assert_close(weight_of(layer), layer.weight.detach())
    assert not mask.acted
    layer.weight.requires_grad_(True)
    assert bool((weight_of(layer).abs() < 1e-6).any())


def test_it_masks_without_gradients_too() -> None:
    layer, _ = linear()
    with torch.no_grad():
        assert bool((weight_of(layer).abs() < 1e-6).any())


class Fails(nn.Linear):
    error: BaseException | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error
        return super().forward(x)


def test_an_exception_in_the_forward_leaves_no_mask() -> None:
    layer = Fails(3, 3)
    WeightMask(tn.DropConnect(0.5), "weight", "weight").put_on(layer)
    layer.error = ArithmeticError("of the layer")
    with pytest.raises(ArithmeticError, match="of the layer"):
        layer(torch.ones(1, 3))
    assert "weight" not in vars(layer) and isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize("training", [True, False])
def test_what_an_interrupt_leaves_does_not_outlive_the_next_call(training: bool) -> None:
    layer = Fails(3, 3, bias=False)
    mask = WeightMask(tn.DropConnect(0.5), "weight", "weight")
    mask.put_on(layer)
    layer.error = KeyboardInterrupt("pressed")
    with pytest.raises(KeyboardInterrupt, match="pressed"):
        layer(torch.ones(1, 3))
    layer.error = None
    mask.p = 0.0
    layer.train(training)
    assert torch.equal(layer(torch.eye(3)).T, layer.weight) and "weight" not in vars(layer)


class Counted(Noise):
    def __init__(self) -> None:
        super().__init__(torch.Generator().manual_seed(0))
        self.asked: list[tuple[object, ...]] = []

    def keep_shared(self, shape: object, p: float, device: torch.device) -> Tensor:
        self.asked.append((tuple(shape), p, device.type))  # type: ignore[arg-type]
        return super().keep_shared(shape, p, device)  # type: ignore[arg-type]


def test_a_drawn_mask_stays_until_it_is_released() -> None:
    layer, mask = linear()
    layer.requires_grad_(False).eval()
    noise = Counted()
    mask.draw(noise)
    one, two = weight_of(layer), weight_of(layer.train())
    assert torch.equal(one, two) and noise.asked == [((40, 30), P, "cpu")]
    assert 0 < int((one.abs() < 1e-6).sum()) < 1200
    mask.draw(noise)
    assert not torch.equal(weight_of(layer.eval()), one) and len(noise.asked) == 2
    mask.release()
    torch.testing.assert_close(weight_of(layer), layer.weight)


def test_a_seed_gives_its_masks_in_order_whatever_else_is_drawn() -> None:
    (layer, _), (again, its_mask), (other, _) = linear(seed=3), linear(seed=3), linear(seed=3, name="other.weight")
    masks = [weight_of(layer) for _ in range(3)]
    torch.rand(5)
    assert torch.equal(weight_of(again), masks[0])
    its_mask.calls = 2
    assert torch.equal(weight_of(again), masks[2])
    assert not torch.equal(masks[0], masks[1]) and not torch.equal(weight_of(other), masks[0])
    before = torch.get_rng_state()
    layer(torch.ones(1, 30))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_torchs_generator_decides() -> None:
    layer, _ = linear()
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(weight_of(layer))
    assert torch.equal(*drawn) and not torch.equal(weight_of(layer), drawn[0])


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_meets_the_mask_again(reentrant: bool) -> None:
    layer, _ = linear()
    x = torch.randn(30, 30, requires_grad=True)
    torch.manual_seed(5)
    checkpoint(layer, x, use_reentrant=reentrant).square().sum().backward()
    found, layer.weight.grad = layer.weight.grad, None
    torch.manual_seed(5)
    layer(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, found)
    assert bool((found == 0).any()) and "weight" not in vars(layer)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_with_a_seed_is_refused(reentrant: bool) -> None:
    layer, _ = linear(seed=0)
    y = checkpoint(layer, torch.ones(1, 30, requires_grad=True), use_reentrant=reentrant)
    with pytest.raises(RuntimeError, match=r"computed again in the backward pass.*leave the seed out"):
        y.sum().backward()


def test_functions_of_parameters_are_masked() -> None:
    layer, _ = linear()
    parameters = {name: p.detach() for name, p in layer.named_parameters()}
    x = torch.ones(6, 30)

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(layer, parameters, (row,)).sum()

    slopes = grad(loss)(parameters, x)["weight"]
    torch.testing.assert_close(slopes.unique(), torch.tensor([0.0, 6 * SCALE]), rtol=1e-3, atol=0)
    rows = vmap(grad(loss), in_dims=(None, 0), randomness="different")(parameters, x)["weight"]
    assert not torch.equal(rows[0], rows[1])
    rows = vmap(grad(loss), in_dims=(None, 0), randomness="same")(parameters, x)["weight"]
    assert torch.equal(rows[0], rows[1]) and bool((rows == 0).any())


def test_a_recurrent_layer_is_masked_in_functional_call() -> None:
    layer = nn.LSTM(8, 5)
    WeightMask(tn.DropConnect(0.5), "weight_hh_l0", "weight_hh_l0").put_on(layer)
    x = torch.randn(6, 2, 8)
    parameters = {name: (2 * p).detach().requires_grad_() for name, p in layer.named_parameters()}
    functional_call(layer, parameters, (x,))[0].sum().backward()
    assert bool((parameters["weight_hh_l0"].grad == 0).any()) and not bool((parameters["weight_ih_l0"].grad == 0).any())
    plain = nn.LSTM(8, 5)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer.eval()(x)[0], plain(x)[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch hides it by itself
@pytest.mark.parametrize("seed", [None, 0])
def test_a_compiled_layer_gets_fresh_masks_and_stays_compiled(seed: int | None) -> None:
    layer, mask = linear(seed=seed)
    model = nn.Sequential(layer, nn.ReLU())
    x = torch.randn(4, 30)
    graphs = []

    def count(graph: torch.fx.GraphModule, example: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(model, backend=count)
    seen = [compiled(x).detach() for _ in range(4)]
    assert len({tuple(y.flatten().tolist()) for y in seen}) == 4 and mask.acted
    model.eval()
    torch.testing.assert_close(compiled(x), nn.functional.linear(x, layer.weight, layer.bias).relu())
    model.train()
    before = len(graphs)
    for _ in range(3):
        compiled(x).sum().backward()
        compiled(x)
    assert len(graphs) == before and bool((layer.weight.grad == 0).any())
    if seed is None:
        assert before == 2


def test_a_copy_has_masks_of_its_own() -> None:
    layer, mask = linear()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        its_mask = weight_masks(twin)["weight"]
        assert its_mask is not mask and bool((weight_of(twin).abs() < 1e-6).any())
        its_mask.take_off(twin)
        torch.testing.assert_close(weight_of(twin), twin.weight.detach())
    assert bool((weight_of(layer).abs() < 1e-6).any())


def test_a_later_mask_takes_the_place_of_an_earlier_one() -> None:
    layer, mask = linear()
    later = WeightMask(tn.DropConnect(0.1), "weight", "weight")
    later.put_on(layer)
    assert weight_masks(layer) == {"weight": later} and len(layer._forward_hooks) == 1
    mask.take_off(layer)
    assert weight_masks(layer) == {"weight": later}


def test_other_hooks_stay() -> None:
    layer, mask = linear()
    seen = []
    layer.register_forward_hook(lambda module, args, out: seen.append(type(module.weight)))
    mask.take_off(layer)
    layer(torch.ones(1, 30))
    assert seen == [nn.Parameter]


def test_a_replica_of_data_parallel_is_refused() -> None:
    layer, _ = linear()
    replica = layer._replicate_for_data_parallel()
    replica.weight = layer.weight * 1
    with pytest.raises(RuntimeError, match=r"nn\.DataParallel copies 'weight'.*DistributedDataParallel"):
        replica(torch.ones(1, 30))


def test_the_fused_path_of_an_encoder_does_not_pass_a_drawn_mask_by() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        dense = encoder(x)
        mask = WeightMask(tn.DropConnect(0.5), "linear1.weight", "weight")
        mask.put_on(encoder.linear1)
        torch.testing.assert_close(encoder(x), dense)
        mask.draw(Noise(torch.Generator().manual_seed(0)))
        assert float((encoder(x) - dense).abs().max()) > 1e-3


def test_masks_are_found_by_the_names_of_their_weights() -> None:
    model = nn.Sequential(nn.MultiheadAttention(8, 2), nn.Linear(2, 2))
    for module, attribute, owner in ((model[0], "weight", "out_proj"), (model[1], "bias", "")):
        WeightMask(tn.DropConnect(0.5), "any", attribute, owner).put_on(module)
    model[1].register_forward_pre_hook(lambda module, args: None)
    assert list(weight_masks(model)) == ["0.out_proj.weight", "1.bias"]
    assert weight_masks(nn.Linear(2, 2)) == {}
