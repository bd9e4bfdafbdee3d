import pytest
from torch import nn

from thinnet.plan._neighbours import dropouts_before_norm, norms_after


def fed(model: nn.Module) -> dict[str, str]:
    """The normalization that each weight feeds, by names."""
    found = norms_after(model)
    return {name: found[id(p)] for name, p in model.named_parameters() if id(p) in found}


class Block(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        for k, layer in enumerate(layers):
            self.add_module(f"l{k}", layer)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), {"0.weight": "1"}),
        (nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), {"0.weight": "1"}),
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3)), {}),
        (nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3)), {}),
        (Block(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)), {"l0.weight": "l1"}),
        (Block(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(3)), {}),  # of other features: not its own
        (Block(nn.Linear(2, 3), nn.LayerNorm(3)), {}),  # often behind a sum
        (nn.Sequential(Block(nn.Linear(2, 3), nn.BatchNorm1d(3))), {"0.l0.weight": "0.l1"}),
    ],
    ids=str,
)
def test_which_weights_feed_a_normalization(model: nn.Module, expected: dict[str, str]) -> None:
    assert fed(model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)), [("0", "1")]),
        (nn.Sequential(nn.Sequential(nn.Dropout2d(0.5), nn.BatchNorm2d(3))), [("0.0", "0.1")]),
        (nn.Sequential(nn.Dropout(0.0), nn.BatchNorm1d(3)), []),
        (nn.Sequential(nn.Dropout(0.5), nn.LayerNorm(3)), []),  # has no running variance
        (nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3), nn.BatchNorm1d(3)), []),
        (Block(nn.Dropout(0.5), nn.BatchNorm1d(3)), []),
    ],
    ids=str,
)
def test_which_dropouts_feed_a_batch_normalization(model: nn.Module, expected: list[tuple[str, str]]) -> None:
    assert list(dropouts_before_norm(model)) == expected
