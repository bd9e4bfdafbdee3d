import itertools
import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from thinnet._random import keep_mask, threshold
from thinnet.ensemble._noise import Block, SampleNoise, Source

CPU = torch.device("cpu")
ROWS, SAMPLES = 7, 5


def noise(source: Source, index: int = 3) -> SampleNoise:
    return SampleNoise(source, "a layer", index)


def begin(source: Source, samples: range, rows: range | None = None, *, of: int = ROWS) -> None:
    rows = range(of) if rows is None else rows
    source.begin(Block(samples, rows, whole=len(rows) == of))


def alone(draw: Callable[[SampleNoise], Tensor], seed: int = 0, samples: int = SAMPLES) -> Tensor:
    """Of every sample on its own, (S, ...)."""
    source = Source(seed, samples)
    layer = noise(source)
    drawn = []
    for sample in range(samples):
        begin(source, range(sample, sample + 1))
        drawn.append(draw(layer))
    return torch.stack(drawn)


def of_rows(kind: str, p: float, *rest: int) -> Callable[[int], Callable[[SampleNoise], Tensor]]:
    """A request for that many rows."""

    def request(rows: int) -> Callable[[SampleNoise], Tensor]:
        shape = (rows, *rest)
        if kind == "keep":
            return lambda layer: layer.keep(shape, p, CPU)
        draw = SampleNoise.normal if kind == "normal" else SampleNoise.uniform
        return lambda layer: draw(layer, shape, torch.float32, CPU)

    return request


REQUESTS = {
    "16 bits": of_rows("keep", 0.05, 5),
    "8 bits": of_rows("keep", 0.5, 3, 3),
    "one a row": of_rows("keep", 0.3),
    "many": of_rows("keep", 0.3, 30_000),
    "nothing": of_rows("keep", 0.3, 0),
    "all kept": of_rows("keep", 0.0, 4),
    "all dropped": of_rows("keep", 1.0, 4),
    "normal": of_rows("normal", 0.0, 5),
    "uniform": of_rows("uniform", 0.0, 5),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_row_has_its_numbers_in_any_company(name: str) -> None:
    request = REQUESTS[name]
    expected = alone(request(ROWS))
    source = Source(0, SAMPLES)
    layer = noise(source)
    for samples in (range(SAMPLES), range(1, 4), range(4, 5)):
        begin(source, samples)
        together = request(len(samples) * ROWS)(layer)
        assert torch.equal(together.unflatten(0, (-1, ROWS)), expected[samples.start : samples.stop])
    for rows in (range(2), range(1, 4), range(5, 7)):
        begin(source, range(2, 3), rows)
        assert torch.equal(request(len(rows))(layer), expected[2, rows.start : rows.stop])


def test_rows_that_are_split_further_are_rows() -> None:
    """(rows · heads, ...), as attention has them."""
    expected = alone(lambda layer: layer.keep((ROWS, 2, 3), 0.4, CPU))
    source = Source(0, SAMPLES)
    begin(source, range(SAMPLES))
    kept = noise(source).keep((SAMPLES * ROWS * 2, 3), 0.4, CPU)
    assert torch.equal(kept.view(expected.shape), expected)


@pytest.mark.parametrize("shared", [True, False])
def test_what_rows_share_is_one_draw_a_sample(shared: bool) -> None:
    def request(layer: SampleNoise) -> Tensor:
        return layer.keep_shared((4, 9), 0.5, CPU) if shared else layer.keep((1, 4, 9), 0.5, CPU)

    expected = alone(request)
    assert len({tuple(mask.flatten().tolist()) for mask in expected}) == SAMPLES
    source = Source(0, SAMPLES)
    begin(source, range(2, 3), range(3, 6))
    assert torch.equal(request(noise(source)), expected[2])
    begin(source, range(SAMPLES))
    if shared:
        with pytest.raises(ValueError, match=r"'a layer' asks for noise of shape \(4, 9\) in a batch of 35 rows"):
            request(noise(source))
    else:
        rows = request(noise(source)).unflatten(0, (SAMPLES, ROWS))
        assert torch.equal(rows, expected.expand(-1, ROWS, -1, -1))


@pytest.mark.parametrize("shape", [(), (4, 9), (3, 7)])
def test_shapes_without_rows_need_all_rows_of_one_sample(shape: tuple[int, ...]) -> None:
    source = Source(0, SAMPLES)
    begin(source, range(1, 2))
    assert noise(source).keep(shape, 0.5, CPU).shape == shape
    for samples, rows in ((range(2), None), (range(1), range(5))):
        begin(source, samples, rows)
        with pytest.raises(ValueError, match=r"asks for noise of shape .* not its first dimension.*leave `batch_size`"):
            noise(source).keep(shape, 0.5, CPU)


def test_arguments_without_rows_have_noise_of_any_shape() -> None:
    source = Source(0, 2)
    source.begin(Block(range(1), None, whole=True))
    assert noise(source).keep((2, 3), 0.5, CPU).shape == (2, 3)


def test_numbers_do_not_depend_on_how_many_samples_there_are() -> None:
    few, many = (alone(lambda layer: layer.keep((ROWS, 30), 0.5, CPU), samples=n) for n in (2, 9))
    assert torch.equal(few, many[:2])


def test_more_samples_than_stay_in_the_cache() -> None:
    samples = (1 << 15) + 3
    source = Source(0, samples)
    begin(source, range(samples), of=1)
    kept = noise(source).keep((samples, 6), 0.3, CPU)
    begin(source, range(samples - 1, samples), of=1)
    assert torch.equal(kept[-1:], noise(source).keep((1, 6), 0.3, CPU))


@pytest.mark.parametrize("p", [0.02, 0.05, 0.5, 0.9, 1 / 65536])
def test_masks_keep_their_rate(p: float) -> None:
    kept = alone(lambda layer: layer.keep((ROWS, 30_000), p, CPU))
    n, rate = kept.numel(), 1 - threshold(p) / 65536
    assert abs(int((~kept).sum()) - n * rate) < 5 * math.sqrt(n * rate * (1 - rate)) + 1


def test_samples_layers_calls_rows_and_seeds_draw_apart() -> None:
    """No correlation of 5 standard deviations between any two of them."""
    n = 20_000
    masks = []
    for seed in (0, 1, 2**64, 2**64 + 1):
        source = Source(seed, 2)
        for index in (0, 1):
            begin(source, range(2), of=2)
            for _ in range(2):
                masks += list(noise(source, index).keep((4, n), 0.5, CPU))
    signs = torch.stack(masks).double() * 2 - 1
    signs = torch.cat([signs, signs[:1].roll(1, 1), signs[:1].roll(4, 1), signs[:1].roll(8, 1)])
    correlations = signs @ signs.T / n
    assert float((correlations - torch.eye(len(signs))).abs().max()) < 5 / math.sqrt(n)
    assert float(signs.mean(1).abs().max()) < 5 / math.sqrt(n)


def test_no_seed_is_another_one_every_time() -> None:
    assert not (Source(None, 3).keys_S == Source(None, 3).keys_S).any()
    assert (Source(5, 3).keys_S == Source(5, 3).keys_S).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_normal_and_uniform_numbers_are(dtype: torch.dtype) -> None:
    source = Source(0, 1)
    begin(source, range(1))
    normal = noise(source).normal((ROWS, 20_000), dtype, CPU)
    uniform = noise(source).uniform((ROWS, 20_000), dtype, CPU)
    assert normal.dtype == uniform.dtype == dtype
    assert float(uniform.min()) >= 0 and float(uniform.max()) < 1
    assert bool(normal.isfinite().all())
    x, u = normal.double().flatten(), uniform.double().flatten()
    n = len(x)
    for power, moment, spread in ((1, 0, 1), (2, 1, math.sqrt(2)), (3, 0, math.sqrt(15)), (4, 3, math.sqrt(96))):
        assert abs(float((x**power).mean()) - moment) < 5 * spread / math.sqrt(n) + torch.finfo(dtype).eps
    coarse = torch.finfo(dtype).eps
    assert stats.kstest(u.numpy(), "uniform").statistic < 2.5 / math.sqrt(n) + coarse
    assert stats.kstest(x.numpy(), "norm").statistic < 2.5 / math.sqrt(n) + coarse
    assert abs(float((x[:-1] * x[1:]).mean())) < 5 / math.sqrt(n)


@pytest.mark.parametrize(("n", "p"), [(10, 0.5), (7, 0.3), (10, 0.9), (5, 0.0), (5, 1.0)])
def test_node_sets(n: int, p: float) -> None:
    draws = 4000
    source = Source(0, draws)
    begin(source, range(draws), of=1)
    kept = noise(source).keep_nodes(draws, n, p, CPU)
    sizes = set(kept.sum(1).tolist())
    share = n * (1 - p)
    assert sizes <= {math.floor(share + 1e-9), math.ceil(share - 1e-9)}
    bound = 5 * math.sqrt(p * (1 - p) / draws) + 1e-12
    assert float((kept.double().mean(0) - (1 - p)).abs().max()) <= bound
    begin(source, range(7, 8), of=1)
    assert torch.equal(noise(source).keep_nodes(3, n, p, CPU), kept[7].expand(3, -1))


def test_node_sets_of_several_samples_need_a_group_for_each() -> None:
    source = Source(0, 3)
    begin(source, range(3))
    with pytest.raises(ValueError, match=r"asks for noise of shape \(2, 5\)"):
        noise(source).keep_nodes(2, 5, 0.5, CPU)


def test_pairs_of_nodes_are_kept_as_often_as_drawing_without_replacement_says() -> None:
    draws, n, k = 20_000, 6, 3
    source = Source(0, draws)
    begin(source, range(draws), of=1)
    kept = noise(source).keep_nodes(draws, n, 0.5, CPU).double()
    both = k * (k - 1) / (n * (n - 1))
    for i, j in itertools.combinations(range(n), 2):
        assert abs(float((kept[:, i] * kept[:, j]).mean()) - both) < 5 * math.sqrt(both * (1 - both) / draws)


def test_the_source_says_what_was_asked_without_the_rows() -> None:
    source = Source(0, 2)

    def asked(samples: range, rows: range | None, *shapes: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        begin(source, samples, rows)
        for shape in shapes:
            noise(source).keep(shape, 0.5, CPU)
        noise(source).keep_nodes(len(samples), 6, 0.5, CPU)
        return source.asked

    expected = asked(range(1), None, (ROWS, 3), (ROWS * 2, 9), (1, 4))
    assert asked(range(2), None, (2 * ROWS, 3), (2 * ROWS * 2, 9), (1, 4)) == expected
    assert asked(range(1), range(2, 5), (3, 3), (3 * 2, 9), (1, 4)) == expected
    assert asked(range(1), range(2, 5), (3, 3), (3 * 2, 9), (1, 3)) != expected
    assert source.largest == 2 * ROWS * 2 * 9


def test_the_masks_are_as_good_as_those_of_a_generator() -> None:
    """Counts of dropped elements in groups of 64 have the binomial's variance, as `keep_mask`'s have."""
    n, p = 64, 0.25
    ours = alone(lambda layer: layer.keep((ROWS, 400 * n), p, CPU)).view(-1, n)
    theirs = keep_mask(ours.shape, threshold(p), generator=torch.Generator().manual_seed(0))
    for kept in (ours, theirs):
        dropped = (~kept).sum(1).double()
        relative = float(dropped.var()) / (n * p * (1 - p))
        assert abs(relative - 1) < 5 * math.sqrt(2 / len(dropped))
