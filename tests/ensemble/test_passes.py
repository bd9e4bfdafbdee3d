import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.ensemble import _passes
from thinnet.ensemble._mc_mode import randomized
from thinnet.ensemble._noise import Block, Source
from thinnet.ensemble._passes import Passes

SAMPLES = 5


class Counted(nn.Module):
    """A network that writes down the rows of each forward pass."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.rows = nn.Sequential(*layers), []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return self.layers(x)


def network(*more: nn.Module) -> Counted:
    torch.manual_seed(0)
    return Counted(nn.Linear(3, 8), tn.Dropout(0.5), nn.Linear(8, 2), *more).eval()


def outputs(model: nn.Module, x: Tensor, *, split: int | None = None, batch_size: int | None = None) -> Tensor:
    """Every sample's outputs (S, B, ...), a later block in the place of a former one."""
    with randomized(model, Source(0, SAMPLES)) as how, torch.no_grad(), torch.random.fork_rng():
        passes = Passes(model, (x,), how, len(x), [])
        blocks = passes.together(SAMPLES, batch_size) if split is None else passes.split(SAMPLES, split)
        found: dict[int, Tensor] = {}
        for start, block in blocks:
            found |= {start + k: out for k, out in enumerate(block)}
    assert sorted(found) == list(range(SAMPLES))
    return torch.stack([found[k] for k in range(SAMPLES)])


def rows(count: int) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


def alone(x: Tensor) -> Tensor:
    """Sample by sample, each in a forward pass of its own."""
    model = network()
    found = []
    with randomized(model, Source(0, SAMPLES)) as how, torch.no_grad():
        for sample in range(SAMPLES):
            with how.begin(Block(range(sample, sample + 1), range(len(x)), whole=True)):
                found.append(model(x))
    return torch.stack(found)


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_split_passes_have_no_more_rows_and_give_the_same(size: int) -> None:
    model, x = network(), rows(7)
    torch.testing.assert_close(outputs(model, x, split=size), alone(x))
    first, *others = model.rows  # the first compares
    assert first <= 3 and max(others) <= size
    assert len(others) == SAMPLES * -(-7 // size)


def test_few_rows_of_all_samples_are_one_pass() -> None:
    model, x = network(), rows(4)
    torch.testing.assert_close(outputs(model, x), alone(x))
    assert model.rows == [4, 4 * SAMPLES]


@pytest.mark.parametrize(("batch_size", "passes"), [(8, [8, 8, 4]), (12, [12, 8]), (7, [4] * 4)])
def test_samples_share_a_pass_as_far_as_the_batch_allows(batch_size: int, passes: list[int]) -> None:
    model, x = network(), rows(4)
    torch.testing.assert_close(outputs(model, x, batch_size=batch_size), alone(x))
    assert model.rows == [4, *passes]


def test_many_rows_are_split_where_the_cache_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_passes, "_AT_ONCE", 0)
    monkeypatch.setattr(_passes, "_LEAST", 4)
    model, x = network(), rows(10)
    torch.testing.assert_close(outputs(model, x), alone(x))
    assert model.rows[0] == 10 and set(model.rows[1:]) == {4}
    assert len(model.rows) == 1 + 3 * SAMPLES


def test_a_model_that_mixes_rows_is_run_sample_by_sample() -> None:
    class Centered(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(0)

    model, x = network(Centered()), rows(4)
    torch.testing.assert_close(outputs(model, x), alone(x) - alone(x).mean(1, keepdim=True))
    assert model.rows == [4, 4 * SAMPLES, *[4] * (SAMPLES - 1)]  # all at once was tried, and differed
    with pytest.raises(ValueError, match="predicts a row differently in another batch"):
        outputs(network(Centered()), x, split=2)


def test_a_model_that_draws_by_itself_is_seeded_sample_by_sample() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    first, again = outputs(network(Noisy()), rows(4)), outputs(network(Noisy()), rows(4))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    noise = first - alone(rows(4))
    assert len({float(sample[0, 0]) for sample in noise}) == SAMPLES
    with pytest.raises(ValueError, match="draws random numbers outside of its dropout layers"):
        outputs(network(Noisy()), rows(4), split=2)


def test_a_network_without_dropout_and_outputs_without_rows_are_refused() -> None:
    plain = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="nothing in Sequential is random"):
        outputs(plain, rows(4))

    class Summed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(0)

    with pytest.raises(ValueError, match=r"a batch of 2 rows gave an output of shape \(5,\)|differently in another"):
        outputs(network(Summed()), rows(5), split=2)


@pytest.mark.parametrize(("count", "size"), [(7, 2), (7, 3), (9, 4), (3, 2), (10, 5)])
def test_parts_cover_all_rows_in_one_length(count: int, size: int) -> None:
    model = network()
    with randomized(model, Source(0, 1)) as how:
        parts = Passes(model, (rows(count),), how, count, [])._parts(size)
    assert len({len(part) for part in parts}) == 1 and len(parts[0]) <= max(size, 2)
    assert [part.start for part in parts] == sorted(part.start for part in parts)
    assert set().union(*parts) == set(range(count))


def test_the_model_gets_copies() -> None:
    class Overwrites(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.zero_()

    x = rows(4)
    torch.manual_seed(0)
    model = Counted(Overwrites(), tn.Dropout(0.5)).eval()
    outputs(model, x)
    assert torch.equal(x, rows(4))
