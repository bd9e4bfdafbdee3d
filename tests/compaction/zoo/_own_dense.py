"""Small networks of linear layers: joined, split, shared, gated, mixed, normalised."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ._patterns import columns, gated, neurons, rows
from ._structures import Place, Units


class _Rows(nn.Module):
    """What takes rows of six numbers."""

    @staticmethod
    def inputs(generator: Generator, batch: int) -> Tensor:
        return torch.randn(batch, 6, generator=generator)


class Concat(_Rows):
    """Two branches side by side under one reader."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 10), nn.Linear(6, 7), nn.Linear(17, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([F.relu(self.first(x)), torch.tanh(self.second(x))], dim=1))

    def units(self) -> list[Units]:
        units = []
        for name, count, window in (("first", 10, (0, 10)), ("second", 7, (10, 17))):
            into, out = rows(self, name), (Place("head.weight", 1, window=window),)
            units.append(Units("neurons", count, (into, out), (*into, *out), into[:1]))
        return units


class Shared(_Rows):
    """One linear layer used twice: its outputs are its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.head = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.head(F.relu(self.again(F.relu(self.again(x)))))

    def units(self) -> list[Units]:
        silent, readers = rows(self, "first", "again"), columns("again", "head")
        return [Units("neurons", 12, (silent, readers), (*silent, *readers))]


class Tied(nn.Module):
    """An embedding that is the head as well, and a residual block between them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.up, self.down = nn.Embedding(11, 12), nn.Linear(12, 20), nn.Linear(20, 12)
        self.head = nn.Linear(12, 11, bias=False)
        self.head.weight = self.embedding.weight

    @staticmethod
    def inputs(generator: Generator, batch: int) -> Tensor:
        return torch.randint(0, 11, (batch, 1 + 2 * batch), generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        return self.head(x + self.down(F.gelu(self.up(x))))

    def units(self) -> list[Units]:
        silent = (*columns("embedding"), *rows(self, "down"))
        stream = Units("stream", 12, (silent,), (*silent, *columns("up")))
        return [neurons(self, "up", "down"), stream]


class Split(_Rows):
    """One layer in two equal halves, each with a branch of its own; as many units are zeroed in one as in the other."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.first, self.second = nn.Linear(6, 16), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.both(x).chunk(2, dim=-1)
        return self.first(F.relu(first)) + self.second(torch.tanh(second))

    def units(self) -> list[Units]:
        units = []
        for name, window in (("first", (0, 8)), ("second", (8, 16))):
            into = Place("both.weight", window=window), Place("both.bias", window=window)
            out = columns(name)
            units.append(Units("neurons", 8, (into, out), (*into, *out), fraction=0.5))
        return units


class GatedMLP(_Rows):
    """A product of two linear layers, one under SiLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(6, 14), nn.Linear(6, 14), nn.Linear(14, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.silu(self.gate(x)) * self.up(x))

    def units(self) -> list[Units]:
        return [gated(self, "gate", "up", "down")]


class Experts(_Rows):
    """A soft mixture of three experts whose common output is read by a head."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(6, 3), nn.Linear(9, 2)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 9)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        return self.head((outputs * self.gate(x).softmax(-1).unsqueeze(1)).sum(-1))

    def units(self) -> list[Units]:
        writers = rows(self, *(f"experts.{i}.2" for i in range(3)))
        output = Units("stream", 9, (writers, columns("head")), (*writers, *columns("head")))
        return [*(neurons(self, f"experts.{i}.0", f"experts.{i}.2") for i in range(3)), output]


class FiLM(nn.Module):
    """A hidden layer scaled and shifted by what another input says; called with two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.film, self.head = nn.Linear(6, 12), nn.Linear(4, 24), nn.Linear(12, 3)

    @staticmethod
    def inputs(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
        return torch.randn(batch, 6, generator=generator), torch.randn(batch, 4, generator=generator)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition).chunk(2, dim=-1)
        return self.head(F.relu(self.hidden(x) * scale + shift))

    def units(self) -> list[Units]:
        film = Place("film.weight", outer=2), Place("film.bias", outer=2)
        shift = Place("film.weight", outer=2, part=1), Place("film.bias", outer=2, part=1)
        silent, readers = (*rows(self, "hidden"), *shift), columns("head")
        return [Units("neurons", 12, (silent, readers), (*rows(self, "hidden"), *film, *readers))]


class RMSNorms(_Rows):
    """A residual stream under RMS normalisations: a dead channel leaves it, and the others are rescaled."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(6, 16), nn.Linear(16, 3)
        self.norms = nn.ModuleList(nn.RMSNorm(16, eps=1e-3) for _ in range(3))
        self.ups = nn.ModuleList(nn.Linear(16, 10) for _ in range(2))
        self.downs = nn.ModuleList(nn.Linear(10, 16) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=False):
            x = x + down(F.gelu(up(norm(x))))
        return self.head(self.norms[2](x))

    def units(self) -> list[Units]:
        writers = rows(self, "embed", "downs.0", "downs.1")
        members = (*writers, *rows(self, *(f"norms.{i}" for i in range(3))), *columns("ups.0", "ups.1", "head"))
        stream = Units("stream", 16, (writers,), members)
        return [*(neurons(self, f"ups.{i}", f"downs.{i}") for i in range(2)), stream]


class LayerNorms(_Rows):
    """The same under layer normalisations: a dead channel of the stream counts in their mean, and stays."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(6, 16), nn.Linear(16, 3)
        self.up, self.down, self.norm = nn.Linear(16, 10), nn.Linear(10, 16), nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        return self.head(self.norm(x + self.down(F.gelu(self.up(x)))))

    def units(self) -> list[Units]:
        writers = rows(self, "embed", "down")
        members = (*writers, *rows(self, "norm"), *columns("up", "head"))
        stays = "a layer normalisation counts it"
        return [neurons(self, "up", "down"), Units("stream", 16, (writers,), members, stays=stays)]


class BatchNorms(_Rows):
    """Batch normalisation of rows and an activation with a slope for each unit."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 14), nn.BatchNorm1d(14), nn.PReLU(14), nn.Linear(14, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def units(self) -> list[Units]:
        norm, out = rows(self, "layers.1"), columns("layers.3")
        members = (*rows(self, "layers.0", "layers.1", "layers.2"), *out)
        return [Units("neurons", 14, (norm, out), members, norm[:1])]
