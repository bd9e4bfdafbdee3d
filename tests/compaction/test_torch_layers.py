"""Every layer of torch between two others that lose nodes: the outcome is equal, or the layer is refused by name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

Make = Callable[[], nn.Module]


class One(nn.Module):
    """Only the first of what a layer returns."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer(x)
        while not isinstance(found, Tensor):
            found = found[0]
        return found


class With(nn.Module):
    """A layer of two or three tensors, called with one and something made of it."""

    def __init__(self, layer: nn.Module, *ways: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.ways = layer, ways

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer(x, *(way(x) for way in self.ways))
        return found if isinstance(found, Tensor) else found[0]


class Unpooled(nn.Module):
    def __init__(self, pool: nn.Module, unpool: nn.Module) -> None:
        super().__init__()
        self.pool, self.unpool = pool, unpool

    def forward(self, x: Tensor) -> Tensor:
        return self.unpool(*self.pool(x))


class Words(nn.Module):
    """Numbers from 0 to 3 out of a tensor of any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return (3 * x.sigmoid()).round().long()


# behind nn.Linear(3, 6): (4, 6)
ROWS: dict[str, Make] = {
    **{
        name: getattr(nn, name)
        for name in (
            *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU"),
            *("LogSigmoid", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus"),
            *("Softshrink", "Softsign", "Tanh", "Tanhshrink", "Dropout", "AlphaDropout", "FeatureAlphaDropout"),
        )
    },
    "Threshold": lambda: nn.Threshold(0.1, 0.5),
    "GLU": nn.GLU,
    "Softmax": lambda: nn.Softmax(-1),
    "Softmin": lambda: nn.Softmin(-1),
    "LogSoftmax": lambda: nn.LogSoftmax(-1),
    "BatchNorm1d": lambda: nn.BatchNorm1d(6),
    "LayerNorm": lambda: nn.LayerNorm(6),
    "RMSNorm": lambda: nn.RMSNorm(6),
    "Linear": lambda: nn.Linear(6, 5),
    "Bilinear": lambda: With(nn.Bilinear(6, 6, 5), torch.tanh),
    "Flatten": nn.Flatten,
    "Unflatten": lambda: nn.Sequential(nn.Unflatten(1, (2, -1)), nn.Flatten()),
    "CosineSimilarity": lambda: With(nn.CosineSimilarity(1), torch.tanh),
    "PairwiseDistance": lambda: With(nn.PairwiseDistance(), torch.tanh),
    "Embedding": lambda: nn.Sequential(Words(), nn.Embedding(4, 5)),
    "EmbeddingBag": lambda: nn.Sequential(Words(), nn.EmbeddingBag(4, 5)),
    "LSTMCell": lambda: One(nn.LSTMCell(6, 5)),
    "GRUCell": lambda: nn.GRUCell(6, 5),
    "RNNCell": lambda: nn.RNNCell(6, 5),
    "Sequential": lambda: nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 6)),
}


# behind nn.Linear(3, 6): (4, 5, 6)
SEQUENCES: dict[str, Make] = {
    "LSTM": lambda: One(nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)),
    "GRU": lambda: One(nn.GRU(6, 5, batch_first=True)),
    "RNN": lambda: One(nn.RNN(6, 5, batch_first=True)),
    "MultiheadAttention": lambda: With(nn.MultiheadAttention(6, 3, batch_first=True), torch.tanh, torch.sin),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(6, 2, 8, batch_first=True),
    "TransformerDecoderLayer": lambda: With(nn.TransformerDecoderLayer(6, 2, 8, batch_first=True), torch.tanh),
    "TransformerEncoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), 2, enable_nested_tensor=False
    ),
    "TransformerDecoder": lambda: With(
        nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 2, 8, batch_first=True), 2), torch.tanh
    ),
    "Transformer": lambda: With(nn.Transformer(6, 2, 1, 1, 8, batch_first=True), torch.tanh),
    "Dropout1d": nn.Dropout1d,
}

# behind nn.Conv1d(3, 6, 1): (4, 6, 8)
SIGNALS: dict[str, Make] = {
    "Conv1d": lambda: nn.Conv1d(6, 4, 3, padding="same"),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(6, 4, 3),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(6, affine=True),
    "AvgPool1d": lambda: nn.AvgPool1d(2),
    "MaxPool1d": lambda: nn.MaxPool1d(2),
    "LPPool1d": lambda: nn.LPPool1d(2, 2),
    "MaxUnpool1d": lambda: Unpooled(nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2)),
    "AdaptiveAvgPool1d": lambda: nn.AdaptiveAvgPool1d(3),
    "AdaptiveMaxPool1d": lambda: nn.AdaptiveMaxPool1d(3),
    "CircularPad1d": lambda: nn.CircularPad1d(1),
    "ConstantPad1d": lambda: nn.ConstantPad1d(1, 0.5),
    "ReflectionPad1d": lambda: nn.ReflectionPad1d(1),
    "ReplicationPad1d": lambda: nn.ReplicationPad1d(1),
    "ZeroPad1d": lambda: nn.ZeroPad1d(1),
}

# behind nn.Conv2d(3, 8, 1): (4, 8, 6, 6)
IMAGES: dict[str, Make] = {
    "Conv2d": lambda: nn.Conv2d(8, 4, 3, padding=1, groups=4),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(8, 4, 3, groups=2),
    "BatchNorm2d": lambda: nn.BatchNorm2d(8),
    "GroupNorm": lambda: nn.GroupNorm(4, 8),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(8),
    "LocalResponseNorm": lambda: nn.LocalResponseNorm(3),
    "AvgPool2d": lambda: nn.AvgPool2d(2),
    "MaxPool2d": lambda: nn.MaxPool2d(3, 2, 1),
    "LPPool2d": lambda: nn.LPPool2d(2, 2),
    "FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(2, 3, _random_samples=torch.full((4, 8, 2), 0.5)),
    "MaxUnpool2d": lambda: Unpooled(nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)),
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d((2, None)),
    "AdaptiveMaxPool2d": lambda: nn.AdaptiveMaxPool2d(2),
    "CircularPad2d": lambda: nn.CircularPad2d(1),
    "ConstantPad2d": lambda: nn.ConstantPad2d(1, 0.5),
    "ReflectionPad2d": lambda: nn.ReflectionPad2d(1),
    "ReplicationPad2d": lambda: nn.ReplicationPad2d(1),
    "ZeroPad2d": lambda: nn.ZeroPad2d(1),
    "Dropout2d": nn.Dropout2d,
    "Softmax2d": nn.Softmax2d,
    "ChannelShuffle": lambda: nn.ChannelShuffle(2),
    "PixelShuffle": lambda: nn.PixelShuffle(2),
    "PixelUnshuffle": lambda: nn.PixelUnshuffle(2),
    "Upsample": lambda: nn.Upsample(scale_factor=2, mode="bicubic"),
    "UpsamplingBilinear2d": lambda: nn.UpsamplingBilinear2d(scale_factor=2),
    "UpsamplingNearest2d": lambda: nn.UpsamplingNearest2d(scale_factor=2),
    "Fold": lambda: nn.Sequential(nn.Unfold(2), nn.Fold((6, 6), 2)),
    "Unfold": lambda: nn.Unfold(2),
}

# behind nn.Conv3d(3, 4, 1): (4, 4, 4, 4, 4)
VOLUMES: dict[str, Make] = {
    "Conv3d": lambda: nn.Conv3d(4, 2, 2),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(4, 2, 2),
    "BatchNorm3d": lambda: nn.BatchNorm3d(4),
    "InstanceNorm3d": lambda: nn.InstanceNorm3d(4),
    "AvgPool3d": lambda: nn.AvgPool3d(2),
    "MaxPool3d": lambda: nn.MaxPool3d(2),
    "LPPool3d": lambda: nn.LPPool3d(2, 2),
    "MaxUnpool3d": lambda: Unpooled(nn.MaxPool3d(2, return_indices=True), nn.MaxUnpool3d(2)),
    "FractionalMaxPool3d": lambda: nn.FractionalMaxPool3d(2, 2, _random_samples=torch.full((4, 4, 3), 0.5)),
    "AdaptiveAvgPool3d": lambda: nn.AdaptiveAvgPool3d(2),
    "AdaptiveMaxPool3d": lambda: nn.AdaptiveMaxPool3d(2),
    "CircularPad3d": lambda: nn.CircularPad3d(1),
    "ConstantPad3d": lambda: nn.ConstantPad3d(1, 0.5),
    "ReflectionPad3d": lambda: nn.ReflectionPad3d(1),
    "ReplicationPad3d": lambda: nn.ReplicationPad3d(1),
    "ZeroPad3d": lambda: nn.ZeroPad3d(1),
    "Dropout3d": nn.Dropout3d,
}

FIRST: list[tuple[dict[str, Make], Make, tuple[int, ...]]] = [
    (ROWS, lambda: nn.Linear(3, 6), (4, 3)),
    (SEQUENCES, lambda: nn.Linear(3, 6), (4, 5, 3)),
    (SIGNALS, lambda: nn.Conv1d(3, 6, 1), (4, 3, 8)),
    (IMAGES, lambda: nn.Conv2d(3, 8, 1), (4, 3, 6, 6)),
    (VOLUMES, lambda: nn.Conv3d(3, 4, 1), (4, 3, 4, 4, 4)),
]
ENROLLED = {name: (make, first, shape) for layers, first, shape in FIRST for name, make in layers.items()}

LEFT_OUT = {
    # bare containers and bases
    *("Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase"),
    "CrossMapLRN2d",  # torch exports a graph of it that does not run
    "AdaptiveLogSoftmaxWithLoss",  # counts which clusters its targets are in, by their values
    *("DataParallel", "SyncBatchNorm"),  # several devices or processes
}


def test_every_layer_is_enrolled() -> None:
    """Losses have no weights of their own, and no width."""
    public = {
        name
        for name, kind in vars(nn).items()
        if inspect.isclass(kind)
        and issubclass(kind, nn.Module)
        and not name.startswith("Lazy")
        and not name.endswith("Loss")
        and kind is not nn.NLLLoss2d
    }
    assert public - LEFT_OUT - {"NonDynamicallyQuantizableLinear"} == set(ENROLLED)


class Between(nn.Module):
    """A layer, the one in question, and one that reads its channels (or features, where they are last)."""

    def __init__(self, first: nn.Module, layer: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.first, self.layer, self.dim = first, layer, -1 if isinstance(first, nn.Linear) else 1
        self.reader = nn.Linear(self.layer(self.first(x)).shape[self.dim], 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.layer(self.first(x)).movedim(self.dim, -1))


@torch.no_grad()
def between(name: str, zeros: str) -> tuple[Between, Tensor]:
    """The layer between two others, of which one ends and the other begins with zeros."""
    make, first, shape = ENROLLED[name]
    torch.manual_seed(0)
    x = torch.randn(shape)
    model = Between(first(), make().eval(), x).double().eval()
    for parameter in model.layer.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.3 * torch.randn_like(parameter))
    if zeros == "written":
        model.first.weight[[1, 2]] = 0
        model.first.bias[[1, 2]] = 0
    else:
        model.reader.weight[:, : model.reader.in_features // 2] = 0
    return model, x.double()


@pytest.mark.slow
@pytest.mark.parametrize("zeros", ["written", "read"])
@pytest.mark.parametrize("name", ENROLLED)
@torch.no_grad()
def test_equal_or_refused(name: str, zeros: str) -> None:
    model, x = between(name, zeros)
    before = copy.deepcopy(model.state_dict())
    try:
        small, _ = tn.compact(model, x)
    except tn.NotCompactableError as error:
        assert "Between" in str(error)
        return
    for other in (x, 10 * torch.randn_like(x), torch.zeros_like(x), -x.abs()):
        wanted = model(other)
        torch.testing.assert_close(small(other), wanted, rtol=0, atol=1e-9 * max(1.0, float(wanted.abs().max())))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


EXACT = {
    *("GELU", "ReLU", "SiLU", "Tanh", "Hardswish", "Identity", "Dropout", "BatchNorm1d", "PReLU", "Mish"),
    *("BatchNorm2d", "InstanceNorm2d", "AvgPool2d", "MaxPool2d", "AdaptiveMaxPool2d", "ZeroPad2d", "Upsample"),
    *("BatchNorm3d", "MaxPool3d", "AdaptiveAvgPool3d", "InstanceNorm1d", "MaxPool1d", "ReflectionPad1d", "Linear"),
}
"""Layers behind which half of what is there goes when half is not read."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXACT))
def test_what_is_not_read_goes_through(name: str) -> None:
    model, x = between(name, "read")
    small, _ = tn.compact(model, x)
    assert small.reader.in_features == model.reader.in_features - model.reader.in_features // 2
