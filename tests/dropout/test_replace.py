import copy
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import dropout as torchs_layers

import thinnet as tn
from thinnet.dropout._replace import OURS
from thinnet.errors import NoEffectWarning


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = nn.Dropout(0.25)
        self.unregistered = [self.first]


class Twice(nn.Dropout):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(super().forward(x))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", sorted(OURS, key=lambda kind: kind.__name__))
@pytest.mark.parametrize("training", [True, False])
def test_the_replaced_layer_is_what_a_fresh_one_is(kind: type[nn.Module], training: bool) -> None:
    model = nn.Sequential(nn.Identity(), kind(0.25)).train(training)
    layer = tn.replace_dropout_(model, generator=seeded())[1]
    fresh = OURS[kind](0.25, generator=seeded()).train(training)
    assert type(layer) is type(fresh) and layer.training is training and repr(layer) == repr(fresh)
    assert vars(layer).keys() == vars(fresh).keys()
    x = torch.randn(4, 8, *(3,) * (getattr(layer, "dims", None) or 1), generator=seeded(1))
    y = layer(x)
    assert torch.equal(y, fresh(x))
    assert torch.equal(y, x) is not training


def test_every_dropout_layer_of_torch_has_its_counterpart() -> None:
    assert set(OURS) == {getattr(torchs_layers, name) for name in torchs_layers.__all__}


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.Dropout, (8, 250)),
        (nn.Dropout1d, (40, 50, 3)),
        (nn.Dropout1d, (2000, 3)),
        (nn.Dropout2d, (40, 50, 3)),
        (nn.Dropout2d, (40, 50, 3, 2)),
        (nn.Dropout3d, (40, 50, 3, 2, 2)),
        (nn.Dropout3d, (2000, 3, 2, 2)),
        (nn.AlphaDropout, (8, 250)),
        (nn.FeatureAlphaDropout, (40, 50, 3)),
    ],
)
def test_the_replaced_layer_gives_the_values_that_torch_gives_in_the_same_pattern(
    kind: type[nn.Module], shape: tuple[int, ...]
) -> None:
    x = torch.ones(shape, dtype=torch.float64)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dropout2d warns of three dimensions
        theirs = kind(0.25)(x)
    layer = tn.replace_dropout_(kind(0.25), generator=seeded())
    ours = layer(x)
    torch.testing.assert_close(ours.unique(), theirs.unique())
    low = float(ours.min())
    together = ours.reshape(2000, -1)  # 2000 decisions, of an element or of a channel of a sample
    assert bool((together == together[:, :1]).all())
    dropped = (together[:, 0] == low).double()
    assert len(dropped) == 2000
    assert abs(float(dropped.mean()) - 0.25) < 5 * (0.25 * 0.75 / 2000) ** 0.5


@pytest.mark.parametrize("inplace", [True, False])
def test_inplace_and_a_rate_set_later_are_kept(inplace: bool) -> None:
    layer = nn.Dropout(0.1, inplace)
    layer.p = 0.75
    assert tn.replace_dropout_(layer) is layer
    assert isinstance(layer, tn.Dropout) and (layer.p, layer.inplace) == (0.75, inplace)


def test_a_shared_layer_stays_one_wherever_it_is_held() -> None:
    model = tn.replace_dropout_(Shared())
    assert isinstance(model.first, tn.Dropout)
    assert model.first is model.second is model.unregistered[0]
    assert not model.eval().unregistered[0].training


def test_hooks_stay_and_can_be_removed() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    seen = []
    handle = model[0].register_forward_hook(lambda module, args, out: seen.append(type(module)))
    tn.replace_dropout_(model)(torch.ones(3))
    handle.remove()
    model(torch.ones(3))
    assert seen == [tn.Dropout]


def test_names_and_states_do_not_change() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2)))
    names, state = dict(model.named_modules()).keys(), copy.deepcopy(model.state_dict())
    tn.replace_dropout_(model)
    assert dict(model.named_modules()).keys() == names
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)


def test_a_replaced_model_is_copied_like_any_other() -> None:
    model = tn.replace_dropout_(nn.Sequential(nn.Dropout(0.5)))
    x = torch.ones(100)
    torch.manual_seed(0)
    first = copy.deepcopy(model)(x)
    torch.manual_seed(0)
    assert torch.equal(model(x), first) and 0 < int((first == 0).sum()) < 100


def test_a_derived_class_and_a_replaced_forward_are_left_alone_and_named() -> None:
    patched = nn.Dropout(0.5)
    patched.forward = lambda x: x  # type: ignore[method-assign]
    model = nn.Sequential(Twice(0.5), nn.Dropout(0.5), patched)
    with pytest.warns(NoEffectWarning, match=r"left alone: '0' \(Twice\), '2' \(Dropout\); only torch's own"):
        tn.replace_dropout_(model)
    assert [type(layer) for layer in model] == [Twice, tn.Dropout, nn.Dropout]


def test_a_model_without_dropout_is_named() -> None:
    with pytest.warns(NoEffectWarning, match="Linear has no dropout layer: nothing is replaced"):
        tn.replace_dropout_(nn.Linear(2, 2))


def test_doing_it_again_does_nothing() -> None:
    model = tn.replace_dropout_(nn.Sequential(nn.Dropout(0.5)))
    layer = model[0]
    assert tn.replace_dropout_(model)[0] is layer


def test_a_rate_that_is_none_is_refused_before_anything_changes() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    model[1].p = 2.0
    with pytest.raises(ValueError, match=r"`p` must be in \[0, 1\], got 2\.0"):
        tn.replace_dropout_(model)
    assert [type(layer) for layer in model] == [nn.Dropout, nn.Dropout]


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_drops_in_training_and_keeps_its_fused_path_right(norm_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True, norm_first=norm_first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype; norm_first has none
        encoder = nn.TransformerEncoder(layer, 2).eval()
    x = torch.randn(3, 5, 8)
    padding = torch.arange(5) >= torch.tensor([[5], [3], [4]])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        fused = encoder(x, src_key_padding_mask=padding)
        tn.replace_dropout_(encoder)
        torch.testing.assert_close(encoder(x, src_key_padding_mask=padding), fused, rtol=0, atol=0)
    slow = encoder(x, src_key_padding_mask=padding)  # with gradients: module by module
    torch.testing.assert_close(slow[~padding].detach(), fused[~padding])
    encoder.train()
    assert not torch.equal(encoder(x), encoder(x))
    assert all(type(encoder.layers[0].get_submodule(n)) is tn.Dropout for n in ("dropout", "dropout1", "dropout2"))
