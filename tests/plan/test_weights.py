import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from thinnet.plan import unwrap, weights


def test_a_plain_model_has_its_named_parameters_in_order() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LSTM(4, 5), nn.MultiheadAttention(4, 2))
    assert {w.name: w.parameters[0] for w in weights(model)} == dict(model.named_parameters())
    assert all(w.by is None for w in weights(model))


def test_tied_weights_are_one_weight_of_two_places() -> None:
    model = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 7, bias=False))
    model[1].weight = model[0].weight
    (weight,) = weights(model)
    assert weight.names == ("0.weight", "1.weight")
    assert len(weight.layouts) == 2


def test_a_shared_module_is_one_weight() -> None:
    layer = nn.Linear(3, 3, bias=False)
    (weight,) = weights(nn.Sequential(layer, nn.ReLU(), layer))
    assert weight.names == ("0.weight", "2.weight")


def test_a_parametrized_weight_stands_under_its_own_name_and_shows_what_the_forward_pass_uses() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)))
    weight = next(w for w in weights(model) if w.name == "0.weight")
    assert weight.by == "parametrized by WeightNorm"
    assert [tuple(p.shape) for p in weight.parameters] == [(4, 1), (4, 3)]
    torch.testing.assert_close(weight.value(), model[0].weight)
    assert weight.value().requires_grad


def test_parameters_of_the_parametrization_itself_stay_plain() -> None:
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.zeros(()))

        def forward(self, w: torch.Tensor) -> torch.Tensor:
            return w + self.by

    layer = nn.Linear(3, 4, bias=False)
    parametrize.register_parametrization(layer, "weight", Shift())
    assert [(w.name, w.by) for w in weights(layer)] == [
        ("weight", "parametrized by Shift"),
        ("parametrizations.weight.0.by", None),
    ]


def test_hooks_of_torch_nn_utils_are_seen() -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        normed = nn.utils.weight_norm(nn.Linear(3, 4))
    spectral = nn.utils.spectral_norm(nn.Linear(3, 4))
    pruned = prune.l1_unstructured(nn.Linear(3, 4), "weight", 0.5)
    found = {w.name: w.by for w in weights(nn.ModuleList([normed, spectral, pruned])) if w.by}
    assert found == {
        "0.weight": "computed by a WeightNorm hook",
        "1.weight": "computed by a SpectralNorm hook",
        "2.weight": "computed by a L1Unstructured pruning hook",
    }


def test_a_wrapped_model_keeps_its_own_names() -> None:
    model = nn.Linear(3, 4)
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(torch.compile(model, backend="eager")) is model


def test_a_lazy_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.weight: not initialized yet; run one forward pass"):
        weights(nn.Sequential(nn.LazyLinear(3)))
