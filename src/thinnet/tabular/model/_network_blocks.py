"""Networks as plain arrays, those of one architecture and the same inputs batched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from thinnet.stack import Activation

Array = NDArray[Any]

_TILE = 64
"""Rows are computed in multiples of this: at the edge of a matrix BLAS rounds otherwise, and a row's prediction would
depend on its place."""


def _relu(z: Array) -> Array:
    return np.maximum(z, 0, out=z)


def _silu(z: Array) -> Array:
    with np.errstate(over="ignore"):  # of a large negative z: the quotient is 0
        powers = np.exp(-z)
    powers += 1
    return np.divide(z, powers, out=z)


def _gelu(z: Array) -> Array:
    from scipy.special import erf  # no other activation needs scipy

    share: Array = (erf(z * z.dtype.type(np.sqrt(0.5))) + 1) / 2
    return np.multiply(z, share, out=z)


def _tanh(z: Array) -> Array:
    return np.tanh(z, out=z)


FUNCTIONS: dict[Activation, Callable[[Array], Array]] = {"relu": _relu, "silu": _silu, "gelu": _gelu, "tanh": _tanh}
"""Each overwrites what it is given."""


@dataclass(frozen=True, eq=False)
class Block:
    """Networks of one architecture that are given the same encoded columns, and those alone.

    Attributes:
        seen: which of the encoded columns are their inputs, in order, (d,).
        weights: of every layer, (k, out, in).
        biases: of every layer, (k, out).
        activation: after every layer but the last.
    """

    seen: NDArray[np.int64]
    weights: Sequence[Array]
    biases: Sequence[Array]
    activation: Activation = "relu"

    def __len__(self) -> int:
        return len(self.weights[0])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The nodes of every layer, inputs and outputs included."""
        return (self.weights[0].shape[2], *(w.shape[1] for w in self.weights))

    @property
    def arrays(self) -> list[Array]:
        """All parameters."""
        return [*self.weights, *self.biases]

    def outputs(self, x_ND: Array) -> Array:
        """The outputs of every network: (N, D) to (k, N, C)."""
        # feature-major: the product reads and writes whole contiguous matrices
        h, last = np.zeros((len(self.seen), -(-len(x_ND) // _TILE) * _TILE), dtype=x_ND.dtype), len(self.weights) - 1
        h[:, : len(x_ND)] = x_ND.T[self.seen]
        for i, (w_kOI, b_kO) in enumerate(zip(self.weights, self.biases, strict=True)):
            # the first layers of all networks are one product
            h = w_kOI @ h if i else (w_kOI.reshape(-1, w_kOI.shape[2]) @ h).reshape(*w_kOI.shape[:2], -1)
            h += b_kO[:, :, None]
            if i < last:
                for one in h:  # small enough for the processor's cache
                    FUNCTIONS[self.activation](one)
        return h[:, :, : len(x_ND)].transpose(0, 2, 1)


def to_folder(blocks: Sequence[Block]) -> tuple[dict[str, Any], dict[str, Array]]:
    """What a saved model says of its networks as JSON, and their arrays by name."""
    settings = {
        "activation": blocks[0].activation,
        "blocks": [{"members": len(block), "sizes": list(block.sizes)} for block in blocks],
    }
    arrays: dict[str, Array] = {}
    for i, block in enumerate(blocks):
        arrays[f"blocks.{i}.seen"] = block.seen
        for kind, layers in (("weights", block.weights), ("biases", block.biases)):
            arrays |= {f"blocks.{i}.{kind}.{layer}": array for layer, array in enumerate(layers)}
    return settings, arrays


def from_folder(settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> tuple[Block, ...]:
    """The networks that `to_folder` wrote, or those of a folder of an older format."""

    def read(prefix: str, sizes: Sequence[int], seen: NDArray[np.int64]) -> Block:
        layers = range(len(sizes) - 1)
        weights, biases = ([arrays[f"{prefix}.{kind}.{i}"] for i in layers] for kind in ("weights", "biases"))
        return Block(seen, weights, biases, settings["activation"])

    if "blocks" not in settings:  # up to format 3, before the model was compacted
        return _split(read("stack", settings["sizes"], np.arange(settings["sizes"][0])))
    return tuple(
        read(f"blocks.{i}", block["sizes"], arrays[f"blocks.{i}.seen"]) for i, block in enumerate(settings["blocks"])
    )


def _split(block: Block) -> tuple[Block, ...]:
    """Networks in a row whose weights are zero for the same inputs, without those inputs."""
    used_kI = (block.weights[0] != 0).any(1)
    starts = [0, *np.flatnonzero((used_kI[1:] != used_kI[:-1]).any(1)) + 1]
    blocks = []
    for start, end in zip(starts, [*starts[1:], len(block)], strict=True):
        used = np.flatnonzero(used_kI[start])
        first, *others = (w[start:end] for w in block.weights)
        weights, biases = [np.ascontiguousarray(first[:, :, used]), *others], [b[start:end] for b in block.biases]
        blocks.append(Block(block.seen[used], weights, biases, block.activation))
    return tuple(blocks)
