import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.thinning import node_sets
from thinnet.thinning._thin_layers import Link, ThinLayer, made_thin

LAYERS = [
    (nn.Linear(6, 4), (3, 6)),
    (nn.Linear(6, 4, bias=False), (3, 2, 6)),
    (nn.Conv1d(6, 4, 2), (3, 6, 5)),
    (nn.Conv2d(6, 4, 3, padding=1), (3, 6, 5, 5)),
    (nn.Conv3d(6, 4, 1), (3, 6, 2, 2, 2)),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "")
@pytest.mark.parametrize(("outs", "ins"), [([0, 2], None), (None, [1, 3, 5]), ([3], [0, 1])])
def test_a_cut_is_the_layer_with_zeros_for_what_was_removed(layer, shape, outs, ins) -> None:
    x = torch.randn(shape, generator=seeded())
    kept_in, kept_out = (slice(None) if nodes is None else torch.tensor(nodes) for nodes in (ins, outs))
    whole, axis = torch.zeros_like(x), -1 if isinstance(layer, nn.Linear) else 1
    where = (..., kept_in) if axis == -1 else (slice(None), kept_in)
    whole[where] = x[where]
    y = layer(whole)
    expected = y[..., kept_out] if axis == -1 else y[:, kept_out]
    thin = made_thin(type(layer)(**settings(layer)))
    thin.load_state_dict(layer.state_dict())
    as_tensor = [None if nodes is None else torch.tensor(nodes) for nodes in (outs, ins)]
    torch.testing.assert_close(thin.cut(x[where], *as_tensor), expected)


def settings(layer: nn.Module) -> dict[str, object]:
    names = ("in_features", "out_features") if isinstance(layer, nn.Linear) else ("in_channels", "out_channels")
    more = {} if isinstance(layer, nn.Linear) else {"kernel_size": layer.kernel_size, "padding": layer.padding}
    return {name: getattr(layer, name) for name in names} | more | {"bias": layer.bias is not None}


def test_the_first_layer_draws_and_the_reader_takes_once() -> None:
    first, second = nn.Linear(2, 6), nn.Linear(2, 6)
    link = Link(tn.NodeDropout(0.5, generator=seeded()), 2, first)
    drawn = link.drawn(first, 6, torch.device("cpu"))
    expected = node_sets(6, 0.5, 2, generator=seeded())
    assert [nodes.tolist() for nodes in drawn] == [nodes.tolist() for nodes in expected]
    assert link.drawn(second, 6, torch.device("cpu")) is drawn
    assert link.taken() is drawn and link.taken() is None


def test_nothing_is_drawn_in_eval_mode_or_at_rate_zero() -> None:
    for p, training in ((0.5, False), (0.0, True)):
        first = nn.Linear(2, 6).train(training)
        assert Link(tn.NodeDropout(p), 1, first).drawn(first, 6, torch.device("cpu")) is None


def test_a_layer_of_no_link_is_the_whole_layer() -> None:
    x, layer = torch.randn(3, 6, generator=seeded()), nn.Linear(6, 4)
    expected = layer(x)
    assert made_thin(layer) is layer and isinstance(layer, ThinLayer)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)


def test_a_layer_of_another_class_is_left_as_it_is() -> None:
    class Mine(nn.Linear):
        pass

    assert type(made_thin(Mine(2, 2))) is Mine


@pytest.mark.parametrize("training", [True, False])
def test_norms_act_on_the_kept_channels_alone(training: bool) -> None:
    norm = made_thin(nn.BatchNorm1d(5)).train(training)
    plain = nn.BatchNorm1d(3).train(training)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(1.0, 6))
        norm.running_mean.copy_(torch.arange(5.0))
    nodes = torch.tensor([0, 2, 4])
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(plain, name).data.copy_(getattr(norm, name).data[nodes])
    norm.link_out = Link(tn.ChannelDropout(0.4, dims=1), 1, None)
    norm.link_out.sets = [nodes]
    x = torch.randn(6, 3, generator=seeded())
    torch.testing.assert_close(norm(x), plain(x))
    torch.testing.assert_close(norm.running_mean[nodes], plain.running_mean)
    assert norm.running_mean[[1, 3]].tolist() == [1, 3] and norm.num_batches_tracked == int(training)
