"""What a model allocated is free again once the model is deleted, whatever was done with it."""

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn
from thinnet.tabular import ThinNetClassifier, ThinNetRegressor


@pytest.fixture(autouse=True, scope="module")
def only_what_is_new() -> Iterator[None]:
    """Leave out the objects that were there before: there are so many that looking at them takes seconds each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def alive() -> int:
    """Bytes of the storages of new tensors, those of a compiler's traces left out, which hold no data."""
    gc.collect()
    with warnings.catch_warnings():  # looking at every object meets deprecated ones
        warnings.simplefilter("ignore")
        storages = (o.untyped_storage() for o in gc.get_objects() if type(o) in (Tensor, nn.Parameter))
        return sum({s.data_ptr(): s.nbytes() for s in storages}.values())


def steps(model: nn.Module, x: Tensor, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(3):
        optimizer.zero_grad()
        y = model(x)
        (y[0] if isinstance(y, tuple) else y).square().sum().backward()
        optimizer.step()


def stack(activation: str = "relu", dropout: float = 0.5) -> tn.Stack:
    members = [tn.Member(seed=k, dropout=dropout, input_dropout=dropout / 2, rule=tn.L1(1e-3)) for k in range(4)]
    model = tn.Stack(members, in_features=8, hidden=[32, 32], out_features=2, activation=activation)
    steps(model, torch.randn(64, 8), tn.StackAdam(model))
    return model


def thinned(groups: int = 1) -> nn.Module:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    tn.thin_(model, 0.5, groups=groups)
    steps(model, torch.randn(32, 64), torch.optim.Adam(model.parameters()))
    return model


def dropping(layer: nn.Module) -> Callable[[], nn.Module]:
    def train() -> nn.Module:
        model = nn.Sequential(nn.Linear(64, 64), layer, nn.Linear(64, 3))
        steps(model, torch.randn(2, 16, 64), torch.optim.Adam(model.parameters()))
        return model

    return train


def images() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(1, 8, 3), tn.DropBlock2d(0.2, size=2), tn.ChannelDropout(0.2), nn.Flatten())
    steps(model, torch.randn(4, 1, 16, 16), torch.optim.Adam(model.parameters()))
    return model


def words() -> nn.Module:
    model = nn.Sequential(tn.EmbeddingDropout(nn.Embedding(100, 64), 0.3), nn.Linear(64, 3))
    steps(model, torch.arange(50), torch.optim.Adam(model.parameters()))
    return model


def attached() -> nn.Module:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    optimizer = torch.optim.Adam(model.parameters())
    tn.attach(model, tn.Plan(tn.DropConnect(0.5, seed=0) + tn.GroupLasso(1e-3) + tn.MaxNorm(1.0)), optimizer)
    steps(model, torch.randn(32, 64), optimizer)
    return model


def sampled() -> nn.Module:
    model = dropping(tn.Dropout(0.5))()
    tn.mc_predict(model, torch.randn(2, 16, 64), samples=8, seed=0, batch_size=1)
    return model


def path() -> tn.RegularizationPath:
    x, y = torch.randn(64, 32), torch.randint(0, 2, (64,))

    def fit(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))

    return tn.path(
        make,
        tn.Plan(tn.L1(1.0)),
        fit,
        lambda model: F.cross_entropy(model(x), y),
        n_strengths=3,
        rounds=2,
        first_rounds=5,
    )


def table(kind: type) -> Callable[[], object]:
    def fit() -> object:
        x = np.random.default_rng(0).normal(size=(120, 4))
        y = (x[:, 0] * x[:, 1] > 0).astype(int)
        estimator = kind(
            n_configurations=4, n_rounds=2, cv=2, hidden=(16,), max_steps=60, time_limit=None, random_state=0
        )
        return estimator.fit(x, y)

    return fit


LAYERS = {
    "Dropout": tn.Dropout(),
    "AlphaDropout": tn.AlphaDropout(),
    "AttentionDropout": tn.AttentionDropout(),
    "ConcreteDropout": tn.ConcreteDropout(),
    "DropPath": tn.DropPath(),
    "GaussianDropout": tn.GaussianDropout(),
    "LockedDropout": tn.LockedDropout(),
    "NodeDropout": tn.NodeDropout(),
}
MADE: dict[str, Callable[[], object]] = {
    **{f"Stack, {a}": lambda a=a: stack(a) for a in ("relu", "silu", "gelu", "tanh")},
    "Stack without dropout": lambda: stack(dropout=0.0),
    "thin": thinned,
    "thin, two groups": lambda: thinned(2),
    **{name: dropping(layer) for name, layer in LAYERS.items()},
    "DropBlock2d and ChannelDropout": images,
    "EmbeddingDropout": words,
    "attach": attached,
    "mc_predict": sampled,
    "path": path,
    "ThinNetClassifier": table(ThinNetClassifier),
    "ThinNetRegressor": table(ThinNetRegressor),
}


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_alive_once_it_is_deleted(name: str) -> None:
    MADE[name]()  # what is made once for all, such as tables of constants
    before = alive()
    made = MADE[name]()
    assert alive() > before
    gone = weakref.ref(made)
    del made
    assert alive() <= before
    assert gone() is None


def test_a_deleted_optimizer_frees_its_buffers() -> None:
    model = stack()
    model.zero_grad()
    before = alive()
    steps(model, torch.randn(64, 8), tn.StackAdam(model))
    model.zero_grad()
    assert alive() <= before


def test_every_dropout_layer_is_here() -> None:
    layers = {n for n in tn.__all__ if isinstance(getattr(tn, n), type) and issubclass(getattr(tn, n), nn.Module)}
    elsewhere = {"DropoutLayer", "DropBlock2d", "ChannelDropout", "EmbeddingDropout", "Stack"}
    assert layers == LAYERS.keys() | elsewhere
