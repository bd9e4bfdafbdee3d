from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.ensemble._mc_mode import randomized
from thinnet.ensemble._noise import Block, Source


def attached() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3))
    tn.attach(model, tn.Plan(tn.DropConnect(0.5)), torch.optim.SGD(model.parameters(), lr=0.1))
    return model


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


MODELS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "layers of torch": (lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Dropout(0.5), nn.LayerNorm(3)), False),
    "layers of thinnet": (lambda: nn.Sequential(nn.Linear(3, 3), tn.NodeDropout(0.5), tn.Dropout(0.5)), False),
    "channels of torch": (lambda: nn.Sequential(nn.Dropout1d(0.5)), True),
    "attention": (lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.1), True),
    "recurrent": (lambda: nn.GRU(3, 3, 2, dropout=0.5), True),
    "code of one's own": (lambda: nn.Sequential(Own(), nn.Dropout(0.5)), True),
    "a hook": (attached, True),
    "a forward of one's own": (lambda: instance_forward(nn.Linear(3, 3)), True),
}


def instance_forward(module: nn.Module) -> nn.Module:
    module.forward = lambda x: x  # type: ignore[assignment]
    return module


@pytest.mark.parametrize("name", MODELS)
def test_functions_are_watched_where_there_is_code_that_may_call_them(name: str) -> None:
    make, watched = MODELS[name]
    with randomized(make(), Source(0, 2)) as how:
        assert how.watched is watched


def test_only_what_drops_is_in_training_mode() -> None:
    model = nn.ModuleDict(
        {
            "norm": nn.BatchNorm1d(3),
            "rrelu": nn.RReLU(),
            "one": nn.LSTM(3, 3),
            "two": nn.LSTM(3, 3, 2, dropout=0.5),
            "block": tn.DropBlock2d(0.1, 3),
            "layer": nn.TransformerEncoderLayer(4, 2, 8, 0.1),
        }
    ).eval()
    with randomized(model, Source(0, 2)):
        training = {name for name, module in model.named_modules() if module.training}
    assert training == {
        "two",
        "block",
        "layer",
        "layer.self_attn",
        "layer.dropout",
        "layer.dropout1",
        "layer.dropout2",
    }
    assert not any(module.training for module in model.modules())


def test_groups_are_the_samples_and_come_back() -> None:
    layer = tn.NodeDropout(0.5, groups=3)
    with randomized(layer, Source(0, 9)) as how:
        how.begin(Block(range(2, 7), range(4), whole=True))
        assert layer.groups == 5
    assert layer.groups == 3
    with pytest.raises(RuntimeError, match="on purpose"), randomized(layer, Source(0, 9)) as how:
        how.begin(Block(range(2, 7), range(4), whole=True))
        raise RuntimeError("on purpose")
    assert layer.groups == 3 and "perturb" not in vars(layer)


def test_a_layer_in_two_places_is_one_layer() -> None:
    shared = nn.Dropout(0.5)
    model = nn.Sequential(shared, nn.Identity(), shared)
    x = torch.ones(5, 40)
    samples = tn.mc_predict(model, x, samples=3, seed=0).samples
    # its second call has other masks than its first
    assert samples.unique().tolist() == [0, 4]
    assert 0.6 < float((samples == 0).double().mean()) < 0.9
