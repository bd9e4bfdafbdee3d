"""Networks whose dead units must stay: something counts them, fills them, or returns them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._own_convolution import _Images
from ._own_dense import _Rows
from ._own_sequence import _Tokens
from ._patterns import columns, rows
from ._structures import Place, Units


class _Hidden(_Rows):
    """One hidden layer, of which a subclass makes something."""

    stays = ""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(6, 12), nn.Linear(12, 3)

    def silent(self) -> list[Units]:
        """Units whose value before the trap is zero; no reader's weights are."""
        return [Units("neurons", 12, (rows(self, "hidden"),), rows(self, "hidden"), stays=self.stays)]

    def both(self) -> list[Units]:
        """Units that are zero, or that nobody reads."""
        ways, members = (rows(self, "hidden"), columns("head")), (*rows(self, "hidden"), *columns("head"))
        return [Units("neurons", 12, ways, members, stays=self.stays)]


class SoftmaxHidden(_Hidden):
    """A softmax over the units counts them all."""

    stays = "the softmax counts it"
    units = _Hidden.both

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x).softmax(-1))


class Averaged(_Hidden):
    """The mean of the units is subtracted: a zero counts in it."""

    stays = "the mean counts it"
    units = _Hidden.silent

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.hidden(x))
        return self.head(hidden - hidden.mean(-1, keepdim=True))


class Largest(_Hidden):
    """The largest unit is an output: zero may be it."""

    stays = "zero may be the largest"
    units = _Hidden.silent

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x)
        return self.head(F.relu(hidden)), hidden.amax(-1)


class Filled(_Hidden):
    """Where the input is positive on the whole, every unit becomes one, the zero ones too."""

    stays = "it is filled with ones"
    units = _Hidden.silent

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.hidden(x)).masked_fill(x.sum(-1, keepdim=True) > 0, 1.0))


class Offset(_Hidden):
    """The same number, which the input decides, is added to every unit."""

    stays = "something is added to it"
    units = _Hidden.silent

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.hidden(x)) + x.mean(-1, keepdim=True))


class Sorted(_Hidden):
    """Units in the order of their values: which one is read where, the input decides."""

    stays = "sorting moves it"
    units = _Hidden.silent

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x).sort(-1).values)


class Exposed(_Hidden):
    """The hidden units are an output, and outputs keep their shape."""

    stays = "the model returns it"
    units = _Hidden.both

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = F.relu(self.hidden(x))
        return {"logits": self.head(hidden), "hidden": hidden}


class PaddedConstant(_Images):
    """A constant channel under a padded convolution is not constant at the border."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.softplus(self.norm(self.conv(x))))

    def units(self) -> list[Units]:
        scale = (Place("norm.weight"),)
        return [Units("channels", 8, (scale,), scale, stays="padding puts zeros around the constant")]


class AttentionWeights(_Tokens):
    """Torch's attention that returns its weights, averaged over the heads: a head without values counts."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.attention = nn.Embedding(11, 12), nn.MultiheadAttention(12, 3)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embedding(ids.T)
        return self.attention(x, x, x)

    def units(self) -> list[Units]:
        names = "attention.in_proj_weight", "attention.in_proj_bias"
        value = tuple(Place(name, outer=3, part=2) for name in names)
        return [Units("heads", 3, (value, columns("attention.out_proj")), value, stays="its weights are averaged")]


class SharedReader(_Rows):
    """A unit that one of two readers ignores."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.first, self.second = nn.Linear(6, 12), nn.Linear(12, 3), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.hidden(x))
        return torch.cat([self.first(hidden), self.second(hidden)], dim=-1)

    def units(self) -> list[Units]:
        reader = columns("first")
        return [Units("neurons", 12, (reader,), reader, stays="the other reader needs it")]
