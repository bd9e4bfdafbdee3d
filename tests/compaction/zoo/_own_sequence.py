"""Small networks of sequences: recurrent layers and attention, torch's own and written out."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ._patterns import columns, heads, neurons
from ._structures import Place, Units


class _Tokens(nn.Module):
    """What takes sequences of tokens, eleven different ones; another number of rows is of another length, too."""

    @staticmethod
    def inputs(generator: Generator, batch: int) -> Tensor:
        return torch.randint(0, 11, (batch, 3 + 2 * batch), generator=generator)


def _recurrent(
    layer: str, suffix: str, gates: int, candidate: int | None, hidden: int, readers: tuple[Place, ...]
) -> Units:
    """The units of one direction of one layer: zero when their candidate gate is, or when nobody reads them."""
    names = [f"{layer}.{name}_{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    own = tuple(Place(name, outer=gates) for name in names)
    silent = tuple(Place(name, outer=gates, part=candidate) for name in names)
    readers = (Place(names[1], 1), *readers)
    # one module has one hidden size: as many go from each layer and direction
    return Units("recurrent", hidden, (silent, readers), (*own, *readers), fraction=0.5)


class LSTMClassifier(_Tokens):
    """Embedding, LSTM, and a head on the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(11, 8), nn.LSTM(8, 10, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(ids))[0][:, -1])

    def units(self) -> list[Units]:
        embedding, reader = columns("embedding"), (Place("lstm.weight_ih_l0", 1),)
        return [
            _recurrent("lstm", "l0", 4, 2, 10, columns("head")),
            Units("channels", 8, (embedding, reader), (*embedding, *reader)),
        ]


class GRUClassifier(_Tokens):
    """The same with a GRU of two layers and a head on the final state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gru = nn.Embedding(11, 8), nn.GRU(8, 10, num_layers=2, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.gru(self.embedding(ids))[1][-1])

    def units(self) -> list[Units]:
        return [
            _recurrent("gru", "l0", 3, 2, 10, (Place("gru.weight_ih_l1", 1),)),
            _recurrent("gru", "l1", 3, 2, 10, columns("head")),
        ]


class RNNClassifier(_Tokens):
    """The same with a plain recurrent layer, sequence first."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn, self.head = nn.Embedding(11, 8), nn.RNN(8, 10), nn.Linear(10, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(ids).transpose(0, 1))[0].mean(0))

    def units(self) -> list[Units]:
        return [_recurrent("rnn", "l0", 1, None, 10, columns("head"))]


class BidirectionalLSTM(_Tokens):
    """Two layers in both directions, read at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(ids))[0])

    def units(self) -> list[Units]:
        units = []
        for layer, readers in enumerate((["lstm.weight_ih_l1", "lstm.weight_ih_l1_reverse"], ["head.weight"])):
            for side, window in (("", (0, 6)), ("_reverse", (6, 12))):
                places = tuple(Place(reader, 1, window=window) for reader in readers)
                units.append(_recurrent("lstm", f"l{layer}{side}", 4, 2, 6, places))
        return units


class Attention(_Tokens):
    """Grouped-query attention written out, four query heads on two key-value heads, and a reader of its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 4
        self.embedding, self.q = nn.Embedding(11, 12), nn.Linear(12, 16)
        self.k, self.v, self.out = nn.Linear(12, 8), nn.Linear(12, 8), nn.Linear(16, 12)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        q, k, v = (layer(x).unflatten(-1, (-1, self.width)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        k, v = (side.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for side in (k, v))
        mixed = (q @ k.transpose(-1, -2) / self.width**0.5).softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).flatten(2))

    def units(self) -> list[Units]:
        return [heads(self, 2, "q", "k", "v", "out")]


class MultiheadAttention(_Tokens):
    """Torch's attention and a block of neurons after it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.attention = nn.Embedding(11, 12), nn.MultiheadAttention(12, 3, batch_first=True)
        self.norm, self.up, self.down = nn.LayerNorm(12), nn.Linear(12, 18), nn.Linear(18, 12)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return x + self.down(F.gelu(self.up(x)))

    def units(self) -> list[Units]:
        return [_fused_heads("attention", 3), neurons(self, "up", "down")]


class EncoderLayer(_Tokens):
    """Torch's transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 12), nn.Linear(12, 3)
        self.layer = nn.TransformerEncoderLayer(12, 3, 18, dropout=0.1, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.layer(self.embedding(ids)).mean(1))

    def units(self) -> list[Units]:
        return [_fused_heads("layer.self_attn", 3), neurons(self, "layer.linear1", "layer.linear2")]


def _fused_heads(layer: str, count: int) -> Units:
    names, reader = (f"{layer}.in_proj_weight", f"{layer}.in_proj_bias"), columns(f"{layer}.out_proj")
    value = tuple(Place(name, outer=3, part=2) for name in names)
    return Units("heads", count, (value, reader), (*(Place(name, outer=3) for name in names), *reader))
