import pytest
from torch import nn

from thinnet.plan._module_kinds import is_bias, is_embedding, is_norm


class RMSNorm(nn.Module):
    """One of another library, known by its name alone."""


@pytest.mark.parametrize(
    ("module", "norm"),
    [
        (nn.BatchNorm2d(3), True),
        (nn.LayerNorm(3), True),
        (nn.GroupNorm(1, 3), True),
        (nn.InstanceNorm1d(3), True),
        (RMSNorm(), True),
        (nn.Linear(3, 3), False),
        (nn.Dropout(), False),
    ],
    ids=str,
)
def test_a_normalization_is_known_by_its_class_or_its_name(module: nn.Module, norm: bool) -> None:
    assert is_norm(module) is norm


def test_tables_of_rows_are_embeddings() -> None:
    assert is_embedding(nn.Embedding(3, 2)) and is_embedding(nn.EmbeddingBag(3, 2))
    assert not is_embedding(nn.Linear(3, 2))


def test_biases_of_torchs_modules_are_biases_and_weights_are_not() -> None:
    modules = nn.ModuleList([nn.Linear(2, 2), nn.LSTM(2, 2), nn.MultiheadAttention(2, 1, add_bias_kv=True)])
    for module in modules:
        for name, parameter in module.named_parameters(recurse=False):
            assert is_bias(name) == (parameter.ndim == 1 or name in ("bias_k", "bias_v")), name
