"""Small convolutional networks: depthwise, grouped, transposed, of one to three dimensions, each normalisation."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ._patterns import channels, columns, rows
from ._structures import Place, Units


class _Images(nn.Module):
    """What takes images of three channels."""

    @staticmethod
    def inputs(generator: Generator, batch: int) -> Tensor:
        return torch.randn(batch, 3, 8, 8, generator=generator)


class ResidualConcat(_Images):
    """A block that adds what it read to what it computed, and a concatenation of the sum with another branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.side = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 5, 1)
        self.inner, self.outer = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(6), nn.Linear(13, 3)

    def forward(self, x: Tensor) -> Tensor:
        stem = F.relu(self.stem(x))
        stem = stem + self.outer(F.relu(self.norm(self.inner(stem))))
        return self.head(torch.cat([F.relu(self.side(x)), stem], dim=1).mean((2, 3)))

    def units(self) -> list[Units]:
        stream = rows(self, "stem", "outer")
        readers = Place("inner.weight", 1), Place("head.weight", 1, window=(5, 13))
        side, reader = rows(self, "side"), (Place("head.weight", 1, window=(0, 5)),)
        return [
            Units("stream", 8, (stream, readers), (*stream, *readers)),
            Units("channels", 5, (side, reader), (*side, *reader), side[:1]),
            channels(self, ["inner", "norm"], ["outer"]),
        ]


class Depthwise(_Images):
    """A depthwise convolution between two pointwise ones."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.reduce = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 4, 1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(F.hardswish(self.depthwise(F.relu6(self.expand(x)))))

    def units(self) -> list[Units]:
        both, depthwise, reader = rows(self, "expand", "depthwise"), rows(self, "depthwise"), columns("reduce")
        return [Units("channels", 12, (both, depthwise, reader), (*both, *reader))]


class Multiplied(_Images):
    """A depthwise convolution with two outputs of each input."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.reduce = nn.Conv2d(3, 6, 1), nn.Conv2d(12, 4, 1)
        self.depthwise = nn.Conv2d(6, 12, 3, groups=6)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(F.relu(self.depthwise(F.relu(self.expand(x)))))

    def units(self) -> list[Units]:
        both, depthwise, reader = rows(self, "expand", "depthwise"), rows(self, "depthwise"), columns("reduce")
        return [Units("groups", 6, (both, depthwise, reader), (*both, *reader))]


class Grouped(_Images):
    """A convolution in four groups, which go as wholes."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, 12, 1), nn.Conv2d(8, 4, 1)
        self.grouped = nn.Conv2d(12, 8, 3, padding=1, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.relu(self.grouped(F.relu(self.before(x)))))

    def units(self) -> list[Units]:
        grouped, reader = rows(self, "grouped"), columns("after")
        return [Units("groups", 4, (grouped, reader), (*rows(self, "before"), *grouped, *reader))]


class GroupNorms(_Images):
    """Group normalisation, which counts every channel of a group: whole groups go."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 12, 3), nn.GroupNorm(4, 12), nn.Conv2d(12, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.conv(x))))

    def units(self) -> list[Units]:
        norm, reader = rows(self, "norm"), columns("head")
        return [Units("groups", 4, (norm, reader), (*rows(self, "conv", "norm"), *reader))]


class GroupNormsPartly(GroupNorms):
    """The same with one channel of each group dead, which the others of its group count."""

    def units(self) -> list[Units]:
        dead = tuple(Place(place.name, inner=3, part=1) for place in rows(self, "norm"))
        return [Units("channels", 4, (dead,), dead, stays="the normalisation counts the channels of a group together")]


class InstanceNorms(_Images):
    """Instance normalisation, which counts each channel alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 10, 3), nn.InstanceNorm2d(10, affine=True)
        self.head = nn.Conv2d(10, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.leaky_relu(self.norm(self.conv(x))))

    def units(self) -> list[Units]:
        return [channels(self, ["conv", "norm"], ["head"])]


class Flattened(_Images):
    """Convolution, pooling, flattening and a linear layer: a channel is a block of its columns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.pool = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MaxPool2d(2)
        self.flatten, self.head = nn.Flatten(), nn.Linear(128, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flatten(self.pool(F.relu(self.norm(self.conv(x))))))

    def units(self) -> list[Units]:
        norm, reader = rows(self, "norm"), columns("head")
        return [Units("channels", 8, (norm, reader), (*rows(self, "conv", "norm"), *reader), norm[:1])]


class Shuffled(_Images):
    """Pixel shuffle: four channels make one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shuffle, self.head = nn.Conv2d(3, 24, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(6, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.shuffle(self.conv(x))))

    def units(self) -> list[Units]:
        conv, reader = rows(self, "conv"), columns("head")
        return [Units("channels", 6, (conv, reader), (*conv, *reader))]


class UNet(_Images):
    """Down, up by a transposed convolution, and the early channels beside the late ones."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.pool, self.middle = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 10, 3, padding=1),
        )
        self.up, self.join, self.head = (
            nn.ConvTranspose2d(10, 6, 2, 2),
            nn.Conv2d(14, 7, 3, padding=1),
            nn.Conv2d(7, 2, 1),
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in (8, 10, 7))

    def forward(self, x: Tensor) -> Tensor:
        early = F.relu(self.norms[0](self.down(x)))
        late = F.relu(self.up(F.relu(self.norms[1](self.middle(self.pool(early))))))
        return self.head(F.relu(self.norms[2](self.join(torch.cat([early, late], dim=1)))))

    def units(self) -> list[Units]:
        early = rows(self, "norms.0"), (Place("middle.weight", 1), Place("join.weight", 1, window=(0, 8)))
        middle = rows(self, "norms.1"), (Place("up.weight", 0),)
        late = (Place("up.weight", 1), Place("up.bias")), (Place("join.weight", 1, window=(8, 14)),)
        return [
            Units("channels", 8, early, (*rows(self, "down"), *early[0], *early[1])),
            Units("channels", 10, middle, (*rows(self, "middle"), *middle[0], *middle[1])),
            Units("channels", 6, late, (*late[0], *late[1])),
            channels(self, ["join", "norms.2"], ["head"]),
        ]


class Signals(nn.Module):
    """Convolutions in one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = (
            nn.Conv1d(2, 9, 5, stride=2),
            nn.Conv1d(9, 8, 3, dilation=2),
            nn.Linear(8, 3),
        )
        self.norm = nn.BatchNorm1d(9)

    @staticmethod
    def inputs(generator: Generator, batch: int) -> Tensor:
        return torch.randn(batch, 2, 32, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(self.second(F.relu(self.norm(self.first(x)))))
        return self.head(x.amax(-1))

    def units(self) -> list[Units]:
        second, reader = rows(self, "second"), columns("head")
        return [
            channels(self, ["first", "norm"], ["second"]),
            Units("channels", 8, (second, reader), (*second, *reader), second[:1]),
        ]


class Volumes(nn.Module):
    """Convolutions in three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv3d(2, 8, 3), nn.BatchNorm3d(8), nn.Conv3d(8, 6, 2)
        self.pool, self.head = nn.AdaptiveAvgPool3d(1), nn.Linear(6, 3)

    @staticmethod
    def inputs(generator: Generator, batch: int) -> Tensor:
        return torch.randn(batch, 2, 5, 5, 5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.second(F.relu(self.norm(self.first(x)))))
        return self.head(self.pool(x).flatten(1))

    def units(self) -> list[Units]:
        second, reader = rows(self, "second"), columns("head")
        return [
            channels(self, ["first", "norm"], ["second"]),
            Units("channels", 6, (second, reader), (*second, *reader)),
        ]
