"""Small networks around one operation each: activations that are not 0 at 0, sums, products, blocks of units."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ._own_convolution import _Images
from ._own_dense import _Rows
from ._own_sequence import _fused_heads, _Tokens
from ._patterns import channels, columns, heads, neurons, rows
from ._structures import Place, Units


class Sigmoids(_Rows):
    """Activations of which zero makes a constant, for the next bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 10), nn.Linear(10, 9), nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.softplus(self.second(torch.sigmoid(self.first(x)))))

    def units(self) -> list[Units]:
        units = []
        for layer, reader, count in (("first", "second", 10), ("second", "head", 9)):
            into, out = rows(self, layer), columns(reader)
            units.append(Units("neurons", count, (out,), (*into, *out), into))
        return units


class Summed(_Rows):
    """The sum of the squares of the units is an output: zeros do not count in it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x)
        return self.head(F.relu(hidden)), hidden.square().sum(-1)

    def units(self) -> list[Units]:
        silent = rows(self, "hidden")
        return [Units("neurons", 12, (silent,), (*silent, *columns("head")))]


class BareWeights(_Rows):
    """Weights that are no layer's, multiplied by einsum and by matmul."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Parameter(torch.zeros(12, 6)), nn.Parameter(torch.zeros(12, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.einsum("bi,oi->bo", x, self.into)) @ self.out

    def units(self) -> list[Units]:
        into, out = Place("into", 0), Place("out", 0)
        return [Units("neurons", 12, ((into,), (out,)), (into, out))]


class GatedHalves(_Rows):
    """One layer whose second half gates its first."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.head = nn.Linear(6, 24), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.glu(self.both(x), dim=-1))

    def units(self) -> list[Units]:
        names = "both.weight", "both.bias"
        silent = tuple(Place(name, outer=2, part=0) for name in names)
        members = (*(Place(name, outer=2) for name in names), *columns("head"))
        return [Units("neurons", 12, (silent, columns("head")), members)]


class Maxout(_Rows):
    """A unit is the largest of three."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces, self.head = nn.Linear(6, 30), nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pieces(x).unflatten(-1, (-1, 3)).amax(-1))

    def units(self) -> list[Units]:
        pieces = rows(self, "pieces")
        return [Units("neurons", 10, (pieces, columns("head")), (*pieces, *columns("head")))]


class Upsampled(_Images):
    """Interpolation, reflected borders, and a strided convolution after them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 3, stride=2)
        self.pad = nn.ReflectionPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(F.relu(self.norm(self.conv(x))), scale_factor=2, mode="bilinear")
        return self.head(self.pad(x))

    def units(self) -> list[Units]:
        return [channels(self, ["conv", "norm"], ["head"])]


class Excited(_Images):
    """Channels weighed by what their means say (squeeze and excitation)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1)
        self.squeeze, self.excite = nn.Linear(8, 5), nn.Linear(5, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)))
        weights = torch.sigmoid(self.excite(torch.tanh(self.squeeze(x.mean((2, 3))))))
        return self.head(x * weights[:, :, None, None])

    def units(self) -> list[Units]:
        norm, readers = rows(self, "norm"), columns("squeeze", "head")
        members = (*rows(self, "conv", "norm", "excite"), *readers)
        return [Units("channels", 8, (norm, readers), members), neurons(self, "squeeze", "excite")]


class CrossAttention(nn.Module):
    """Torch's attention of one sequence on another, sequence first, with a mask of padding; called with a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(12, 3, bias=False), nn.Linear(12, 3)

    @staticmethod
    def inputs(generator: Generator, batch: int) -> dict[str, Tensor]:
        mask = torch.zeros(batch, 6, dtype=torch.bool)
        mask[-1, 4:] = True
        query, memory = (torch.randn(n, batch, 12, generator=generator) for n in (4, 6))
        return {"query": query, "memory": memory, "mask": mask}

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        mixed = self.attention(query, memory, memory, key_padding_mask=mask, need_weights=False)[0]
        return self.head(query + mixed)

    def units(self) -> list[Units]:
        weight, reader = "attention.in_proj_weight", columns("attention.out_proj")
        value = (Place(weight, outer=3, part=2),)
        return [Units("heads", 3, (value, reader), (Place(weight, outer=3), *reader))]


class EncoderStack(_Tokens):
    """Two of torch's transformer layers, norm first, under one final norm."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(12, 3, 18, activation="gelu", batch_first=True, norm_first=True)
        self.embedding, self.head = nn.Embedding(11, 12), nn.Linear(12, 3)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(12), enable_nested_tensor=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(ids)).mean(1))

    def units(self) -> list[Units]:
        layers = [f"encoder.layers.{i}" for i in range(2)]
        return [
            *(_fused_heads(f"{layer}.self_attn", 3) for layer in layers),
            *(neurons(self, f"{layer}.linear1", f"{layer}.linear2") for layer in layers),
        ]


class CausalAttention(_Tokens):
    """Fused attention under a causal mask, all heads in one view, with a bias by head and position."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.width = 4, 3
        self.embedding, self.bias = nn.Embedding(11, 12), nn.Parameter(torch.zeros(4, 16, 16))
        self.q, self.k, self.v, self.out = (nn.Linear(12, 12) for _ in range(4))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        batch, length, _ = x.shape
        q, k, v = (
            layer(x).view(batch, length, self.heads, self.width).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        hidden = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        bias = self.bias[:, :length, :length].masked_fill(hidden, float("-inf"))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, self.heads * self.width))

    def units(self) -> list[Units]:
        units = heads(self, 4, "q", "k", "v", "out")
        return [Units("heads", 4, units.ways, (*units.members, Place("bias", 0)))]
