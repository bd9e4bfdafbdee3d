"""Every public dropout layer is sampled: one that is not enrolled here fails the suite."""

import inspect
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet import dropout
from thinnet.dropout import DropoutLayer
from thinnet.ensemble import _passes


def inputs(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def timewise(layer: DropoutLayer) -> nn.Module:
    """Rows first for a layer that has them second."""

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.transpose(0, 1)).transpose(0, 1)

    return Turned()


def words() -> tn.EmbeddingDropout:
    return tn.EmbeddingDropout(nn.Embedding(12, 3, _weight=inputs(12, 3)), 0.5)


# one sample without rows: what is first in its input are its channels
ALONE = (partial(tn.ChannelDropout, 0.5, dims=1), inputs(20, 4))
ENROLLED: list[tuple[Callable[[], nn.Module], Tensor]] = [
    (partial(tn.Dropout, 0.3), inputs(7, 5)),
    (partial(tn.Dropout, 0.3), inputs(7, 3, 5)),
    (partial(tn.NodeDropout, 0.5), inputs(7, 20)),
    (partial(tn.NodeDropout, 0.5, groups=3), inputs(7, 2, 20)),
    (partial(tn.GaussianDropout, 0.3), inputs(7, 5)),
    (partial(tn.AlphaDropout, 0.3), inputs(7, 5)),
    (partial(tn.AlphaDropout, 0.3, channels=True), inputs(7, 5, 4)),
    (partial(tn.ChannelDropout, 0.5), inputs(7, 5, 4)),
    ALONE,
    (partial(tn.DropBlock2d, 0.3, size=2), inputs(7, 3, 6, 6)),
    (partial(tn.DropPath, 0.5), inputs(20, 3)),
    (partial(tn.LockedDropout, 0.5, batch_first=True), inputs(7, 4, 5)),
    (lambda: timewise(tn.LockedDropout(0.5)), inputs(7, 4, 5)),
    (partial(tn.LockedDropout, 0.5), inputs(4, 20)),
    (partial(tn.AttentionDropout, 0.3), inputs(7, 2, 4, 4).softmax(-1)),
    (partial(tn.AttentionDropout, 0.3, by="keys", normalize=True), inputs(7, 2, 4, 4).softmax(-1)),
    (words, torch.arange(28).view(7, 4) % 12),
    (lambda: tn.ConcreteDropout(0.3).double(), inputs(7, 5)),
]


def name(case: object) -> str:
    return (
        "-".join(map(str, case.shape))
        if isinstance(case, Tensor)
        else repr(case.func.__name__ if isinstance(case, partial) else case.__name__)
    )  # type: ignore[attr-defined]


of_all = pytest.mark.parametrize(("make", "x"), ENROLLED, ids=name)


def layers(model: nn.Module) -> list[DropoutLayer]:
    return [module for module in model.modules() if isinstance(module, DropoutLayer)]


def test_every_public_layer_is_enrolled() -> None:
    public = {
        value
        for room in (dropout, tn)
        for value in (getattr(room, key) for key in room.__all__)
        if inspect.isclass(value) and issubclass(value, DropoutLayer) and not inspect.isabstract(value)
    }
    enrolled = {type(layer) for make, _ in ENROLLED for layer in layers(make())}
    assert public == enrolled


@of_all
@pytest.mark.parametrize("training", [True, False])
def test_samples_differ_and_the_layer_is_left_as_it_was(
    make: Callable[[], nn.Module], x: Tensor, training: bool
) -> None:
    model = make().train(training)
    modes, settings = [module.training for module in model.modules()], [repr(layer) for layer in layers(model)]
    before, state = x.clone(), torch.get_rng_state()
    samples = tn.mc_predict(model, x, samples=4, seed=0).samples
    assert len({tuple(sample.flatten().tolist()) for sample in samples}) == 4
    assert torch.equal(x, before) and torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert [repr(layer) for layer in layers(model)] == settings
    assert not any({"perturb", "forward"} & vars(module).keys() for module in model.modules())


@of_all
def test_folding_changes_nothing(make: Callable[[], nn.Module], x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    folded = tn.mc_predict(model, x, samples=5, seed=3).samples
    monkeypatch.setattr(_passes, "_AT_ONCE", 0)
    torch.testing.assert_close(tn.mc_predict(model, x, samples=5, seed=3).samples, folded)


@pytest.mark.parametrize(("make", "x"), [case for case in ENROLLED if case is not ALONE], ids=name)
@pytest.mark.parametrize("batch_size", [1, 2, 4, 6])
def test_batches_change_nothing(make: Callable[[], nn.Module], x: Tensor, batch_size: int) -> None:
    model = make()
    whole = tn.mc_predict(model, x, samples=4, seed=3).samples
    torch.testing.assert_close(tn.mc_predict(model, x, samples=4, seed=3, batch_size=batch_size).samples, whole)


@pytest.mark.parametrize("batch_size", range(1, 20))
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_one_row_is_not_split(batch_size: int, seed: int) -> None:
    make, x = ALONE
    with pytest.raises(ValueError, match=r"differently in another batch.*leave `batch_size` out"):
        tn.mc_predict(make(), x, samples=2, seed=seed, batch_size=batch_size)


@pytest.mark.slow
@of_all
def test_the_mean_is_what_training_gives(make: Callable[[], nn.Module], x: Tensor) -> None:
    model = make()
    torch.manual_seed(0)
    theirs = torch.stack([model.train()(x).detach() for _ in range(1500)])
    ours = tn.mc_predict(model, x, samples=1500, seed=0).samples
    error = ((theirs.var(0) + ours.var(0)) / 1500).sqrt() + 1e-6
    assert float(((ours.mean(0) - theirs.mean(0)) / error).abs().max()) < 6
    torch.testing.assert_close(ours.std(0).mean(), theirs.std(0).mean(), rtol=0.03, atol=0)


def test_a_node_set_is_one_for_all_rows_of_a_sample() -> None:
    samples = tn.mc_predict(tn.NodeDropout(0.5, groups=2), torch.ones(6, 30), samples=9, seed=0).samples
    assert bool((samples == samples[:, :1]).all())
    assert not torch.equal(samples[0], samples[1])
    assert samples.sum(2).unique().tolist() == [30.0]


def test_words_drop_whole_in_all_rows_of_a_sample() -> None:
    table = nn.Embedding(5, 2, _weight=torch.ones(5, 2))
    ids = torch.arange(5).expand(6, 5)
    samples = tn.mc_predict(tn.EmbeddingDropout(table, 0.5), ids, samples=30, seed=0).samples
    assert bool((samples == samples[:, :1, :, :1]).all())
    assert 0.3 < float((samples == 0).double().mean()) < 0.7


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)).double()


def test_connections_drop_with_one_mask_a_sample() -> None:
    model = nn.Sequential(nn.Linear(5, 8, bias=False), nn.Identity()).double()
    tn.attach(model, tn.Plan(tn.DropConnect(0.5)), torch.optim.SGD(model.parameters(), lr=0.1))
    x = torch.eye(5, dtype=torch.float64)  # its outputs are the columns of the masked weight
    samples = tn.mc_predict(model.eval(), x, samples=40, seed=0).samples
    kept = samples / (2 * model[0].weight.detach().T)
    assert kept.round().unique().tolist() == [0, 1] and float((kept - kept.round()).abs().max()) < 1e-12
    assert abs(float(kept.mean()) - 0.5) < 5 * 0.5 / kept.numel() ** 0.5
    assert len({tuple(mask.flatten().tolist()) for mask in kept.round()}) == 40
    assert torch.equal(tn.mc_predict(model, x, samples=3, seed=0, batch_size=2).samples, samples[:3])
    torch.testing.assert_close(model(x), model[0].weight.T)  # the masks are gone


def test_thinned_networks_are_sampled_as_dropout_says() -> None:
    """In eval mode they are dense, and their nodes are masked."""
    torch.manual_seed(0)
    model = tn.thin_(mlp(), p=0.5, input_p=0.2)
    x = inputs(7, 5)
    ours = tn.mc_predict(model.eval(), x, samples=1500, seed=0).samples
    assert not model.training and not any(module.training for module in model.modules())
    torch.manual_seed(0)
    theirs = torch.stack([model.train()(x).detach() for _ in range(1500)])
    error = ((theirs.var(0) + ours.var(0)) / 1500).sqrt()
    assert float(((ours.mean(0) - theirs.mean(0)) / error).abs().max()) < 6
    torch.testing.assert_close(
        tn.mc_predict(model, x, samples=4, seed=0, batch_size=3).samples, ours[:4], rtol=1e-6, atol=1e-8
    )
