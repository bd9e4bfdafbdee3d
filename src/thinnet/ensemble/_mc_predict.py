"""Many predictions from one network with dropout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Literal

import torch
from torch import Tensor, nn

from thinnet.ensemble._noise import Block, Source
from thinnet.ensemble._predictions import Predictions, Probabilities
from thinnet.ensemble._randomized import Randomized, randomized

_AT_ONCE = 1 << 18
"""Elements of the largest tensor known in a forward pass: so many stay in the cache."""

_LEAST = 1 << 10
"""Rows in a forward pass, under which splitting a sample costs more than the cache saves."""

Activation = Literal["softmax", "sigmoid"] | Callable[[Tensor], Tensor]


def mc_predict(
    model: nn.Module,
    x: Tensor | tuple[object, ...],
    *,
    samples: int = 50,
    seed: int | None = None,
    batch_size: int | None = None,
    activation: Activation | None = None,
    grad: bool = False,
) -> Predictions:
    r"""Predictions of `samples` networks that dropout makes out of one (MC dropout).

    Sample s of a seed is one network: its masks depend on the seed, the sample, the layer, the call and the row, and on
    nothing else. So predictions do not depend on how rows are batched, nor on how many samples there are, to rounding.

    **What is random.** Only what drops; everything else, batch normalization first of all, stays in eval mode.
    Afterwards every module is as it was, and so is the global random state.

    - Dropout layers of thinnet and torch, networks made by `tn.thin`, and weights under `tn.DropConnect`. What all rows
      of a batch share in training, such as node sets, all rows of a sample share here.
    - `LSTM`, `GRU` and `RNN` with dropout between their layers; `MultiheadAttention`; the transformer layers, also where
      torch would skip dropout on a fused path.
    - Functions that a model calls itself: `F.dropout` and its kin, `F.scaled_dot_product_attention`,
      `F.multi_head_attention_forward`. They drop as they would in training: where one is called without effect, the
      module that calls it is run once in training mode to see what it calls then, and its buffers are restored. So
      `training=self.training` and `dropout_p=p if self.training else 0` drop, and a constant `training=False` does not.
    - Layers of others without parameters whose class has "drop" in its name, or is a `StochasticDepth`.

    Refused by name: scripted modules, and functions whose rates in training cannot be known. Not seen: dropout inside of
    compiled extensions, such as other attention kernels.

    **What is fast.** Samples share forward passes: S networks of B rows are one batch of S·B rows, as many at a time as
    stay in the cache, and very many rows are split. That is right where a model treats each row alike and by itself. It
    is checked, not assumed: the noise that the layers ask for must be the same but for the number of rows, and one
    sample alone must give what it gives in company. Where it does not (statistics of the batch, rows that are steps of
    a recurrent layer, outputs without rows), where the model draws other random numbers, and where noise is shared by
    rows but cannot differ between the samples of one batch (weights, whole words), each sample is a forward pass. A
    model must not change its behaviour with the number of rows beyond that.

    Args:
        model: any module with dropout of p > 0; it is called as `model(*x)` and returns a tensor.
        x: the input, or a tuple of the arguments. The rows are the first dimension of the first tensor; other tensors
            with as many rows go with it, all else is passed as it is. The model gets copies.
        samples: S, how many networks.
        seed: of the masks, >= 0; None takes one from the operating system.
        batch_size: the most rows in a forward pass (2 at least, and one pass of 3 to compare). Models that would
            predict a row differently in another batch are refused then. None leaves it to what is fast, in passes of
            one sample at least, or of 1024 rows.
        activation: what turns the outputs into predictions: "softmax" over the last dimension and "sigmoid" make
            probabilities, which entropies need; a callable, which gets one sample's outputs of all rows; or None to
            leave them.
        grad: keep the graph, for gradients of the predictions; off by default.

    Returns:
        `Predictions` with samples (S, B, ...).

    Raises:
        TypeError: if the model is scripted, or its output is not a tensor.
        ValueError: if nothing in the model is random, what it draws cannot be known or would depend on the batches, or
            a setting is out of its range.

    Example:
        One input of 1, kept as 2 or dropped to 0: samples of mean 1 and standard deviation 1.

        >>> import torch, thinnet as tn
        >>> model = torch.nn.Sequential(tn.Dropout(0.5)).eval()
        >>> pred = tn.mc_predict(model, torch.ones(1, 1), samples=1000, seed=0)
        >>> sorted(set(pred.samples.flatten().tolist()))
        [0.0, 2.0]
        >>> bool((pred.mean - 1).abs() < 0.1), bool((pred.std - 1).abs() < 0.1)
        (True, True)

    References:
        Gal, Ghahramani, "Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning", 2016.
    """
    args = x if isinstance(x, tuple) else (x,)
    for name, value, least in (("samples", samples, 1), ("seed", seed, 0), ("batch_size", batch_size, 1)):
        if value is not None and value < least:
            raise ValueError(f"mc_predict: `{name}` must be >= {least}, got {value}.")
    act, kind = _activation(activation)
    source = Source(seed, samples)
    rows, split = _rows(args, batch_size)
    cuda = _cuda(model, args) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        how = stack.enter_context(randomized(model, source))
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        stack.enter_context(torch.set_grad_enabled(grad))
        if how.compiled:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        run = _Run(model, args, how, rows, cuda)
        outputs = run.split(samples, batch_size) if batch_size and split else run.together(samples, batch_size)
        return Predictions(torch.cat([act(out) for out in outputs]), kind)


class _Run:
    """The forward passes of one prediction.

    Args:
        model: randomized.
        args: of the model.
        how: the model draws.
        rows: B, or None where the arguments have no rows in common.
        cuda: devices whose random state is seeded.
    """

    def __init__(
        self, model: nn.Module, args: tuple[object, ...], how: Randomized, rows: int | None, cuda: list[int]
    ) -> None:
        self.model = model
        self.args = args
        self.how = how
        self.rows = rows
        self.cuda = cuda
        self.asked: object = None

    def together(self, samples: int, batch_size: int | None) -> list[Tensor]:
        """Outputs (K, B, ...), in forward passes of the size that is fastest, where the model allows it."""
        last = samples - 1
        first, drew = self._first(Block(range(last, samples), self._all(), whole=True))
        outputs = None
        if self.rows and not drew:
            size = self._fastest(first)
            count = min(samples, (size if batch_size is None else min(size, batch_size)) // self.rows)
            if count > 1 and not self.how.masks:
                outputs = self._tried(self._folded(samples, count), first)
            elif self.rows > max(size, _LEAST):
                parts = self._parts(max(size, _LEAST))
                outputs = self._tried((self._joined(sample, parts) for sample in range(last, -1, -1)), first)
        return outputs or [*(self._alone(sample)[None] for sample in range(last)), first[None]]

    def split(self, samples: int, size: int) -> Iterator[Tensor]:
        """Outputs (1, B, ...), with no more than `size` rows in a forward pass."""
        parts = self._parts(size)
        length = len(parts[0])
        # another number of rows, across the border of two parts
        count = length - 1 if length > 2 else 3
        start = min(length // 2, parts[-1].stop - count)
        across, drew = self._first(Block(range(1), range(start, start + count), whole=False))
        if drew:
            raise ValueError(
                "mc_predict: the model draws random numbers outside of its dropout layers, so its predictions would "
                "depend on the batches; leave `batch_size` out."
            )
        for sample in range(samples):
            out = self._joined(sample, parts)
            if sample == 0 and not self._alike(out[0, start : start + count], across):
                raise ValueError(
                    "mc_predict: the model predicts a row differently in another batch of rows, so its predictions "
                    "would depend on the batches; leave `batch_size` out."
                )
            yield out

    def _first(self, block: Block) -> tuple[Tensor, bool]:
        """The first forward pass: its output, and whether it drew numbers of its own."""

        def drawn() -> tuple[Tensor, bool]:
            state = self._seed(block.samples.start)
            return self._forward(block), not torch.equal(self._state(), state)

        out, drew = drawn()
        if self.how.functions.learn(lambda: self._forward(block)):
            out, drew = drawn()
        self.asked = self.how.source.asked
        if not (drew or self.how.source.requests or any(rate for _, rate in self.how.functions.log)):
            raise ValueError(
                f"mc_predict: nothing in {type(self.model).__name__} is random: it has no dropout with p > 0; put a "
                "tn.Dropout into it."
            )
        return out, drew

    def _fastest(self, first: Tensor) -> int:
        """Rows of a forward pass whose tensors, as far as they are known, stay in the cache."""
        tensors = [a for a in self.args if isinstance(a, Tensor)]
        largest = max(self.how.source.largest, first.numel(), *(t.numel() for t in tensors))
        return _AT_ONCE * (self.rows or 0) // max(largest, 1)

    def _tried(self, outputs: Iterator[Tensor], alone: Tensor) -> list[Tensor] | None:
        """Outputs that come from the last sample to the first; None if the last is not what it is alone."""
        found: list[Tensor] = []
        state = self._state()
        try:
            for out in outputs:
                if not found and not self._alike(out[-1], alone):
                    return None
                found.insert(0, out)
        except Exception:
            # whatever it is that the model cannot do with other rows than its own
            return None
        return found if torch.equal(self._state(), state) else None

    def _folded(self, samples: int, count: int) -> Iterator[Tensor]:
        """Outputs (K, B, ...) of `count` samples at once, from the last to the first."""
        rows = range(self.rows or 0)
        for stop in range(samples, 0, -count):
            block = Block(range(max(0, stop - count), stop), rows, whole=True)
            out = self._forward(block)
            yield _of_length(out, len(block.samples) * len(rows)).reshape(-1, len(rows), *out.shape[1:])

    def _parts(self, size: int) -> list[range]:
        """The rows in parts of one length, not above `size`; the last one overlaps."""
        rows = self.rows or 0
        count = -(-rows // size)
        # at least two rows: one alone could not be told from what all rows share
        size = max(2, -(-rows // count))
        return [range(start, start + size) for start in (*range(0, rows - size, size), rows - size)]

    def _joined(self, sample: int, parts: list[range]) -> Tensor:
        """Output (1, B, ...) of one sample."""
        outputs = []
        for rows in parts:
            out = self._forward(Block(range(sample, sample + 1), rows, whole=False))
            outputs.append(_of_length(out, len(rows)))
        outputs[-1] = outputs[-1][parts[-2].stop - parts[-1].start :]
        return torch.cat(outputs)[None]

    def _alone(self, sample: int) -> Tensor:
        """Output of one sample."""
        self._seed(sample)
        return self._forward(Block(range(sample, sample + 1), self._all(), whole=True))

    def _all(self) -> range | None:
        return None if self.rows is None else range(self.rows)

    def _forward(self, block: Block) -> Tensor:
        args = [self._part(a, block) for a in self.args]
        with self.how.begin(block):
            out = self.model(*args)
        if not isinstance(out, Tensor):
            raise TypeError(
                f"mc_predict: the model must return a tensor, got {type(out).__name__}; wrap it in a module that "
                "returns the one you want."
            )
        return out

    def _part(self, arg: object, block: Block) -> object:
        """What a forward pass gets of an argument: a copy, as the model may overwrite it."""
        if not isinstance(arg, Tensor):
            return arg
        if block.rows is None or not arg.ndim or len(arg) != self.rows:
            return arg.clone()
        if not block.whole:
            return arg[block.rows.start : block.rows.stop].clone()
        return arg.repeat(len(block.samples), *(1,) * (arg.ndim - 1))

    def _alike(self, a: Tensor, b: Tensor) -> bool:
        """Whether the last forward pass asked for the numbers of the first, and their outputs are equal to rounding."""
        if a.shape != b.shape or self.how.source.asked != self.asked:
            return False
        if not a.is_floating_point() and not a.is_complex():
            return torch.equal(a, b)
        types = {p.dtype for p in self.model.parameters() if p.dtype.is_floating_point} | {a.dtype}
        if torch.is_autocast_enabled(a.device.type):
            types.add(torch.get_autocast_dtype(a.device.type))
        rounding = max(torch.finfo(dtype).eps for dtype in types) ** 0.5
        a, b = a.detach(), b.detach()
        if not b.numel() or bool((a - b).abs().max() <= rounding * b.abs().max()):
            return True
        # infinities and NaN
        return torch.allclose(a, b, rtol=rounding, atol=0, equal_nan=True)

    def _seed(self, sample: int) -> Tensor:
        """Seed the global generators in use, and only those: for what the model draws by itself."""
        seed = self.how.source.seed(sample)
        torch.default_generator.manual_seed(seed)
        for index in self.cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        return self._state()

    def _state(self) -> Tensor:
        states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(index) for index in self.cuda)]
        return torch.cat(states) if self.cuda else states[0]


def _activation(activation: Activation | None) -> tuple[Callable[[Tensor], Tensor], Probabilities | None]:
    """What turns outputs (K, B, ...) into predictions, and what these are."""
    if activation is None:
        return lambda outputs: outputs, None
    if callable(activation):
        # each sample by itself: it may look at all its rows
        return lambda outputs: torch.stack([activation(out) for out in outputs]), None
    if activation == "softmax":
        return lambda outputs: outputs.softmax(-1), "classes"
    if activation == "sigmoid":
        return torch.sigmoid, "independent"
    raise ValueError(f'mc_predict: `activation` must be "softmax", "sigmoid", a callable or None, got {activation!r}.')


def _cuda(model: nn.Module, args: tuple[object, ...]) -> list[int]:
    """The CUDA devices in use."""
    tensors = (*model.parameters(), *model.buffers(), *(a for a in args if isinstance(a, Tensor)))
    return sorted({t.device.index or 0 for t in tensors if t.device.type == "cuda"})


def _of_length(out: Tensor, rows: int) -> Tensor:
    if out.ndim == 0 or len(out) != rows:
        raise ValueError(
            f"mc_predict: a batch of {rows} rows gave an output of shape {tuple(out.shape)}, which cannot be put "
            "together; leave `batch_size` out."
        )
    return out


def _rows(args: tuple[object, ...], batch_size: int | None) -> tuple[int | None, bool]:
    """The rows of the arguments, None if they have none, and whether they are more than `batch_size`."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    rows = len(tensors[0]) if tensors and tensors[0].ndim else None
    if batch_size is None or (rows is not None and batch_size >= rows):
        return rows, False
    if rows is None or any(not t.ndim or len(t) != rows for t in tensors):
        raise ValueError(
            f"mc_predict: `batch_size` needs arguments alike in their first dimension, got "
            f"{[tuple(t.shape) for t in tensors]}; leave it out."
        )
    return rows, rows > 2 or batch_size > 1
