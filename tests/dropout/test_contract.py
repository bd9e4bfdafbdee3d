"""What every dropout layer promises. A public one that is not enrolled here fails the suite."""

import copy
import inspect
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Generator, Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.func import functional_call, vmap

import thinnet as tn
from thinnet import dropout
from thinnet._random import keep_mask, threshold
from thinnet.dropout import DropoutLayer, Noise


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded(1), dtype=torch.float64)


@dataclass(frozen=True)
class Enrolled:
    """A layer, an input of it, and where it differs from the rule."""

    build: Callable[..., DropoutLayer]  # of p and generator=, and of inplace= where it has that
    x: Tensor
    unbiased: bool = True  # the expectation of the output is what eval mode gives; its own tests say what else it keeps
    homogeneous: bool = True  # twice the input, or twice the parameters, is twice the output
    ends: tuple[float, ...] = (0.0, 1.0)  # rates that drop nothing, and all; others are refused
    inplace: bool = False
    rows: int | None = 0  # the dimension of the rows, None if what a row gets depends on the rows beside it
    saved: float = 1.0  # bytes kept for backward, for each element of the output in float32


def embedding(p: float, generator: Generator | None = None) -> DropoutLayer:
    table = nn.Embedding(12, 3, _weight=normal(12, 3))
    return tn.EmbeddingDropout(table, p, generator=generator)


def concrete(p: float, generator: Generator | None = None) -> DropoutLayer:
    return tn.ConcreteDropout(p, generator=generator).double()


ENROLLED = [
    Enrolled(tn.Dropout, normal(8, 3), inplace=True),
    Enrolled(tn.NodeDropout, normal(4, 6), saved=2.0),
    Enrolled(partial(tn.NodeDropout, groups=3), normal(4, 2, 5), rows=None, saved=2.0),
    Enrolled(tn.GaussianDropout, normal(4, 3, 2), ends=(0.0,), saved=4.0),
    Enrolled(tn.AlphaDropout, normal(4, 6), unbiased=False, homogeneous=False, inplace=True),
    Enrolled(partial(tn.AlphaDropout, channels=True), normal(4, 3, 2), unbiased=False, homogeneous=False, inplace=True),
    Enrolled(tn.ChannelDropout, normal(4, 3, 5), inplace=True),
    Enrolled(tn.ChannelDropout, normal(4, 2, 3, 3), inplace=True),
    Enrolled(partial(tn.ChannelDropout, dims=3), normal(4, 2, 2, 3, 3), inplace=True),
    Enrolled(partial(tn.DropBlock2d, size=2), normal(4, 2, 4, 3), saved=2.0),
    Enrolled(tn.DropPath, normal(6, 2, 2)),
    Enrolled(tn.LockedDropout, normal(5, 4, 3), rows=1),
    Enrolled(partial(tn.LockedDropout, batch_first=True), normal(4, 5, 3)),
    Enrolled(embedding, torch.tensor([[1, 2, 1], [7, 0, 11], [3, 4, 2], [1, 9, 9]]), saved=8.0),
    Enrolled(concrete, normal(4, 3, 2), unbiased=False, homogeneous=False, ends=(), saved=9.0),
    Enrolled(tn.AttentionDropout, normal(4, 2, 3).softmax(-1)),
    Enrolled(partial(tn.AttentionDropout, by="keys"), normal(4, 5, 3).softmax(-1)),
    Enrolled(partial(tn.AttentionDropout, normalize=True), normal(4, 2, 3).softmax(-1), False, ends=(0.0,), saved=12.0),
]


def name(e: Enrolled) -> str:
    return f"{e.build(0.5)} of {tuple(e.x.shape)}"


def those(law: Callable[[Enrolled], bool]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("e", [e for e in ENROLLED if law(e)], ids=name)


of_all = those(lambda e: True)
of_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)


def cast(e: Enrolled, dtype: torch.dtype, p: float = 0.5, seed: int | None = 0) -> tuple[DropoutLayer, Tensor]:
    """The layer and its input in a type."""
    layer = e.build(p, generator=None if seed is None else seeded(seed)).to(dtype)
    return layer, e.x.to(dtype) if e.x.is_floating_point() else e.x


def of_leaves(layer: DropoutLayer, x: Tensor) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The layer as a function of everything that it can be differentiated by."""
    names = [name for name, _ in layer.named_parameters()]
    given = [x.clone()] if x.is_floating_point() else []
    leaves = [*given, *(weight.detach().clone() for weight in layer.parameters())]

    def f(*leaves: Tensor) -> Tensor:
        weights = leaves[len(given) :]
        return functional_call(layer, dict(zip(names, weights, strict=True)), (leaves[0] if given else x,))

    return f, [leaf.requires_grad_() for leaf in leaves]


class Rows(Noise):
    """Numbers that depend on the call and the row alone, drawn in float64."""

    def __init__(self, first: int = 0) -> None:
        super().__init__()
        self.first, self.calls = first, 0

    def _each(self, shape: Sequence[int], draw: Callable[[tuple[int, ...], Generator], Tensor]) -> Tensor:
        self.calls += 1
        seeds = [1000 * self.calls + self.first + row for row in range(shape[0])]
        return torch.stack([draw(tuple(shape[1:]), seeded(seed)) for seed in seeds])

    def keep(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        return self._each(shape, lambda shape, source: keep_mask(shape, threshold(p), generator=source))

    def keep_shared(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        return Noise(seeded(5)).keep(shape, p, device)

    def keep_nodes(self, groups: int, n: int, p: float, device: torch.device) -> Tensor:
        return Noise(seeded(6)).keep_nodes(groups, n, p, device)

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        return self._each(shape, lambda s, g: torch.randn(s, generator=g, dtype=torch.float64)).to(dtype)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        return self._each(shape, lambda s, g: torch.rand(s, generator=g, dtype=torch.float64)).to(dtype)


def test_every_public_layer_is_enrolled_and_stands_in_thinnet() -> None:
    public = [getattr(dropout, name) for name in dropout.__all__]
    concrete = {c for c in public if inspect.isclass(c) and issubclass(c, DropoutLayer) and not inspect.isabstract(c)}
    assert concrete == {type(e.build(0.5)) for e in ENROLLED}
    assert all(getattr(tn, c.__name__) is c for c in concrete)


@of_all
def test_eval_perturbs_nothing_and_draws_nothing(e: Enrolled) -> None:
    layer = e.build(0.5, generator=seeded())
    assert layer.training
    y = layer.eval()(e.x)
    assert torch.equal(y, layer(e.x))
    assert torch.equal(layer.generator.get_state(), seeded().get_state())
    if e.x.is_floating_point():
        assert y is e.x


@those(lambda e: 0.0 in e.ends)
def test_rate_zero_perturbs_nothing_and_draws_nothing(e: Enrolled) -> None:
    clean = e.build(0.5).eval()(e.x)
    later = e.build(0.5, generator=seeded())
    later.p = 0.0
    for layer in (e.build(0.0, generator=seeded()), e.build(0, generator=seeded()), later):
        y = layer(e.x)
        assert torch.equal(y, clean)
        assert y is e.x or not e.x.is_floating_point()
        assert torch.equal(layer.generator.get_state(), seeded().get_state())


@those(lambda e: 1.0 in e.ends)
@of_dtypes
def test_rate_one_drops_all(e: Enrolled, dtype: torch.dtype) -> None:
    f, leaves = of_leaves(*cast(e, dtype, 1.0))
    y = f(*leaves)
    assert torch.equal(y, torch.zeros_like(y))
    for slope in torch.autograd.grad(y.sum(), leaves):
        assert torch.equal(slope, torch.zeros_like(slope))


@of_all
def test_a_rate_at_an_end_that_is_none_is_refused_by_name(e: Enrolled) -> None:
    for p in {0.0, 1.0} - set(e.ends):
        with pytest.raises(ValueError, match=r": `p` must be (more|less) than "):
            e.build(p)


@of_all
@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_a_rate_that_is_none_is_refused_by_name(e: Enrolled, p: float) -> None:
    with pytest.raises(ValueError, match=r"`p` must be in \[0, 1\], got"):
        e.build(p)


@of_all
def test_a_rate_that_is_no_number_is_refused_by_name(e: Enrolled) -> None:
    with pytest.raises(TypeError, match=r"`p` must be a number or a tensor, got '0\.5'"):
        e.build("0.5")


@those(lambda e: e.x.is_floating_point())
def test_whole_numbers_are_refused(e: Enrolled) -> None:
    layer = e.build(0.5)
    with pytest.raises(TypeError, match=rf"{type(layer).__name__}: .* floating-point type, got torch.int64; convert"):
        layer(e.x.long())


@those(lambda e: e.unbiased)
@pytest.mark.parametrize("p", [0.1, 0.6])
def test_the_expectation_is_what_eval_gives(e: Enrolled, p: float) -> None:
    layer, draws = e.build(p, generator=seeded()), 2000
    y = torch.stack([layer(e.x) for _ in range(draws)])
    error, deviation = y.mean(0) - layer.eval()(e.x), y.std(0)
    assert (error.abs() <= 6 * deviation / math.sqrt(draws) + 1e-12).all()
    assert (deviation > 0).any()


@of_all
def test_training_perturbs(e: Enrolled) -> None:
    layer = e.build(0.5, generator=seeded())
    assert not torch.equal(layer(e.x), e.build(0.5).eval()(e.x))


@of_all
def test_masks_change_and_repeat_by_seed(e: Enrolled) -> None:
    layer = e.build(0.5)
    torch.manual_seed(3)
    outputs = [layer(e.x) for _ in range(8)]
    assert any(not torch.equal(outputs[0], y) for y in outputs)
    torch.manual_seed(3)
    assert all(torch.equal(layer(e.x), y) for y in outputs)
    state = torch.get_rng_state()
    first, second = e.build(0.5, generator=seeded(4)), e.build(0.5, generator=seeded(4))
    assert all(torch.equal(first(e.x), second(e.x)) for _ in range(3))
    assert torch.equal(torch.get_rng_state(), state)


@of_all
def test_all_randomness_comes_from_the_noise(e: Enrolled) -> None:
    layer, state = e.build(0.5, generator=seeded()), torch.get_rng_state()
    y = layer.perturb(e.x, Noise(seeded(4)))
    assert torch.equal(layer.generator.get_state(), seeded().get_state())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(y, e.build(0.5, generator=seeded(4))(e.x))


@those(lambda e: e.rows is not None)
def test_a_row_is_perturbed_by_its_own_noise_whatever_the_batch(e: Enrolled) -> None:
    layer = e.build(0.5)
    whole = layer.perturb(e.x, Rows())
    parts = [layer.perturb(part, Rows(first)) for first, part in ((0, e.x.narrow(e.rows, 0, 1)), (1, rest(e)))]
    assert torch.equal(torch.cat(parts, e.rows), whole)


def rest(e: Enrolled) -> Tensor:
    return e.x.narrow(e.rows, 1, e.x.shape[e.rows] - 1)


@of_all
@of_dtypes
def test_low_precision_is_the_same_but_for_rounding(e: Enrolled, dtype: torch.dtype) -> None:
    # multiples of 1/16 are exact in every type
    exact = Enrolled(e.build, (e.x * 16).round() / 16 if e.x.is_floating_point() else e.x)
    (layer, x), (wide, x64) = cast(exact, dtype, 0.3), cast(exact, torch.float64, 0.3)
    y = layer.perturb(x, Rows())
    assert (y.dtype, y.shape) == (dtype, wide.eval()(x64).shape)
    precision = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(y.double(), wide.perturb(x64, Rows()), rtol=precision, atol=precision)


@of_all
def test_autocast_changes_nothing(e: Enrolled) -> None:
    (inside, x), (outside, _) = cast(e, torch.float32), cast(e, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = inside(x)
    torch.testing.assert_close(y, outside(x), rtol=0, atol=0)


@of_all
def test_gradients_by_differences(e: Enrolled) -> None:
    layer, x = cast(e, torch.float64, 0.4)
    f, leaves = of_leaves(layer, x)

    def repeated(*leaves: Tensor) -> Tensor:
        layer.generator.manual_seed(0)
        return f(*leaves)

    assert torch.autograd.gradcheck(repeated, leaves)
    assert torch.autograd.gradgradcheck(repeated, leaves)


@those(lambda e: e.homogeneous)
@of_dtypes
def test_the_gradient_is_the_factor(e: Enrolled, dtype: torch.dtype) -> None:
    """Euler: a function f of degree 1 is Σ x ∂f/∂x."""
    f, leaves = of_leaves(*cast(e, dtype))
    y = f(*leaves)
    slopes = torch.autograd.grad(y.sum(dtype=torch.float64), leaves)
    total = sum((leaf.double() * slope.double()).sum() for leaf, slope in zip(leaves, slopes, strict=True))
    precision = 20 * torch.finfo(dtype).eps
    torch.testing.assert_close(total, y.double().sum(), rtol=precision, atol=precision * float(y.detach().abs().sum()))


@of_all
def test_no_more_is_kept_for_backward_than_declared(e: Enrolled) -> None:
    layer, x = cast(e, torch.float32)
    f, leaves = of_leaves(layer, x)
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        if all(t.data_ptr() != leaf.data_ptr() for leaf in leaves):
            kept[t.data_ptr()] = t.nbytes
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = f(*leaves)
    assert sum(kept.values()) <= e.saved * y.numel()


@of_all
def test_the_input_is_left_alone(e: Enrolled) -> None:
    x = e.x.clone()
    e.build(0.5)(x)
    assert torch.equal(x, e.x)


@those(lambda e: e.inplace)
def test_inplace_writes_into_the_input(e: Enrolled) -> None:
    x = e.x.clone()
    y = e.build(0.5, inplace=True, generator=seeded())(x)
    assert y is x
    torch.testing.assert_close(y, e.build(0.5, generator=seeded())(e.x), rtol=0, atol=0)
    leaf = e.x.clone().requires_grad_()
    slopes = [
        torch.autograd.grad(e.build(0.5, inplace=inplace, generator=seeded())(leaf * 1).sum(), leaf)[0]
        for inplace in (False, True)
    ]
    assert torch.equal(*slopes)


@those(lambda e: not e.inplace)
def test_there_is_no_inplace_where_it_is_not_declared(e: Enrolled) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'inplace'"):
        e.build(0.5, inplace=True)


@of_all
def test_strides_do_not_matter(e: Enrolled) -> None:
    strided = e.x.mT.contiguous().mT
    assert not strided.is_contiguous()
    y, expected = e.build(0.5, generator=seeded())(strided), e.build(0.5, generator=seeded())(e.x)
    assert torch.equal(y, expected)


@of_all
def test_a_batch_of_no_rows(e: Enrolled) -> None:
    x = e.x.narrow(e.rows or 0, 0, 0)
    layer = e.build(0.5)
    assert layer(x).shape == layer.eval()(x).shape


@of_all
def test_it_prints_its_rate(e: Enrolled) -> None:
    layer = e.build(0.25)
    assert repr(layer).startswith(f"{type(layer).__name__}(") and "p=0.25" in repr(layer)


@of_all
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"]
)
def test_a_copy_goes_on_where_its_original_is(e: Enrolled, copied: Callable[[DropoutLayer], DropoutLayer]) -> None:
    layer = e.build(0.5, generator=seeded())
    layer(e.x)
    twin = copied(layer)
    assert repr(twin) == repr(layer)
    assert all(torch.equal(twin(e.x), layer(e.x)) for _ in range(3))


@of_all
def test_its_state_is_its_parameters(e: Enrolled) -> None:
    layer = e.build(0.5)
    assert layer.state_dict().keys() == dict(layer.named_parameters()).keys()
    assert e.build(0.1).load_state_dict(layer.state_dict()).missing_keys == []


@of_all
def test_compiled_masks_are_drawn_anew_and_each_mode_compiles_once(e: Enrolled) -> None:
    torch.compiler.reset()
    backend = CompileCounterWithBackend("aot_eager")
    layer = e.build(0.5)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    torch.manual_seed(0)
    for _ in range(3):
        layer.train()
        outputs = [compiled(e.x) for _ in range(8)]
        assert any(not torch.equal(outputs[0], y) for y in outputs)
        assert torch.equal(layer.eval()(e.x), compiled(e.x))
    assert backend.frame_count <= 2


@pytest.mark.slow
@of_all
def test_batches_of_all_sizes_compile_twice(e: Enrolled) -> None:
    torch.compiler.reset()
    backend = CompileCounterWithBackend("aot_eager")
    layer, clean, rows = e.build(0.5), e.build(0.5).eval(), e.rows or 0
    compiled, long = torch.compile(layer, backend=backend, fullgraph=True), torch.cat([e.x] * 3, rows)
    for size in range(3, 12):
        x = long.narrow(rows, 0, size)
        assert compiled(x).shape == clean(x).shape
    assert backend.frame_count <= 2


@those(lambda e: e.homogeneous)
def test_the_compiled_gradient_is_the_factor(e: Enrolled) -> None:
    torch.compiler.reset()
    layer, x = e.build(0.3), e.x.clone()
    leaves = list(layer.parameters()) or [x.requires_grad_()]
    y = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    slopes = torch.autograd.grad(y.sum(), leaves)
    total = sum((leaf * slope).sum() for leaf, slope in zip(leaves, slopes, strict=True))
    torch.testing.assert_close(total, y.sum())
    assert any((slope != 0).any() for slope in slopes)


@those(lambda e: e.unbiased)
def test_the_expectation_is_the_same_compiled(e: Enrolled) -> None:
    torch.compiler.reset()
    layer, draws = e.build(0.3), 500
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.manual_seed(0)
    y = torch.stack([compiled(e.x) for _ in range(draws)])
    error, deviation = y.mean(0) - layer.eval()(e.x), y.std(0)
    assert (error.abs() <= 6 * deviation / math.sqrt(draws) + 1e-12).all()


@of_all
def test_vmap_draws_for_each_example_or_once(e: Enrolled) -> None:
    layer, clean = e.build(0.5), e.build(0.5).eval()(e.x)
    x = e.x.expand(8, *e.x.shape)
    torch.manual_seed(0)
    apart = vmap(layer, randomness="different")(x)
    assert apart.shape == (8, *clean.shape)
    assert any(not torch.equal(apart[0], y) for y in apart)
    alike = vmap(layer, randomness="same")(x)
    assert all(torch.equal(alike[0], y) for y in alike)
    assert not torch.equal(alike[0], clean)
