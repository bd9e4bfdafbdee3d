import pytest

from thinnet import L1, L2, ElasticNet, GroupLasso, MaxNorm, WeightDecay
from thinnet.tabular.population._configuration import Configuration


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        (Configuration(), "none"),
        (Configuration((L1(1e-4),)), "L1 0.0001"),
        (Configuration((L2(0.005), MaxNorm(1.0)), dropout=0.25), "dropout 0.25 + L2 0.005 + max-norm 1"),
        (Configuration((ElasticNet(5e-5, 2e-3),)), "elastic net 5e-05/0.002"),
        (Configuration((GroupLasso(5e-5, by="outputs"),)), "group lasso by outputs 5e-05"),
        (Configuration((WeightDecay(0.1),), label_smoothing=0.0123), "weight decay 0.1 + label smoothing 0.012"),
        (
            Configuration((L1(1e-4),), dropout=0.1, stages=("polish", "refit")),
            "dropout 0.1 + L1 0.0001 + polish + refit",
        ),
    ],
)
def test_a_configuration_reads_well(configuration: Configuration, text: str) -> None:
    assert str(configuration) == text


def test_a_configuration_with_any_regularizer_is_regularized() -> None:
    assert Configuration(label_smoothing=0.1).regularized
    assert Configuration(dropout=0.1).regularized
    assert Configuration((MaxNorm(1.0),)).regularized
