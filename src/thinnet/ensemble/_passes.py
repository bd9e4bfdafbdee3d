"""Batching of the forward passes of a prediction over samples and rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch
from torch import Tensor, nn

from thinnet.ensemble._mc_mode import Randomized
from thinnet.ensemble._noise import Block

_AT_ONCE = 1 << 18
"""Elements of the largest tensor known in a forward pass: so many stay in the cache."""

_LEAST = 1 << 10
"""Rows in a forward pass, under which splitting a sample costs more than the cache saves."""


Outputs = Iterator[tuple[int, Tensor]]
"""The first of some samples, and their outputs (K, B, ...). A sample that comes again takes the place of the former."""


class Passes:
    """Plan and run the forward passes of one prediction.

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

    def together(self, samples: int, batch_size: int | None) -> Outputs:
        """Run the samples in forward passes of the size that is fastest, where the model allows it."""
        last = samples - 1
        first, drew = self._first(Block(range(last, samples), self._all(), whole=True))
        plan = None if drew else self._fastest(samples, first, batch_size)
        if plan is not None and (yield from self._tried(plan, first)):
            return
        for sample in range(last):
            yield sample, self._alone(sample)[None]
        yield last, first[None]

    def split(self, samples: int, size: int) -> Outputs:
        """Run the samples with no more than `size` rows in a forward pass."""
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
            yield sample, out

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

    def _fastest(self, samples: int, first: Tensor, batch_size: int | None) -> Outputs | None:
        """Passes whose tensors, as far as they are known, stay in the cache; None if it is a sample in each."""
        if not self.rows:
            return None
        tensors = [a for a in self.args if isinstance(a, Tensor)]
        largest = max(self.how.source.largest, first.numel(), *(t.numel() for t in tensors))
        size = _AT_ONCE * self.rows // max(largest, 1)
        count = min(samples, (size if batch_size is None else min(size, batch_size)) // self.rows)
        if count > 1 and not self.how.masks:
            return self._folded(samples, count)
        if self.rows > max(size, _LEAST):
            parts = self._parts(max(size, _LEAST))
            return ((sample, self._joined(sample, parts)) for sample in range(samples - 1, -1, -1))
        return None

    def _tried(self, plan: Outputs, alone: Tensor) -> Generator[tuple[int, Tensor], None, bool]:
        """A plan that begins with the last sample; False once it proves to change the outputs, True at its end."""
        state, checked = self._state(), False
        while True:
            try:
                start, out = next(plan)
            except StopIteration:
                return torch.equal(self._state(), state)
            except Exception:
                # whatever it is that the model cannot do with other rows than its own
                return False
            if not checked and not self._alike(out[-1], alone):
                return False
            checked = True
            yield start, out

    def _folded(self, samples: int, count: int) -> Outputs:
        """`count` samples at once, from the last to the first."""
        rows = range(self.rows or 0)
        for stop in range(samples, 0, -count):
            block = Block(range(max(0, stop - count), stop), rows, whole=True)
            out = self._forward(block)
            yield (
                block.samples.start,
                _of_length(out, len(block.samples) * len(rows)).reshape(-1, len(rows), *out.shape[1:]),
            )

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
        count = len(block.samples)
        return (
            arg.repeat(count, *(1,) * (arg.ndim - 1)) if count > 1 else arg[block.rows.start : block.rows.stop].clone()
        )

    def _alike(self, a: Tensor, b: Tensor) -> bool:
        """Whether the last forward pass asked for the numbers of the first, and their outputs are equal to rounding."""
        if a.shape != b.shape or self.how.source.asked != self.asked:
            return False
        if not a.is_floating_point() and not a.is_complex():
            return torch.equal(a, b)
        a, b = a.detach(), b.detach()
        if not b.numel() or bool((a - b).abs().max() <= torch.finfo(a.dtype).eps ** 0.5 * b.abs().max()):
            return True
        # infinities and NaN, or a network that computes in fewer bits than its output has
        types = {p.dtype for p in self.model.parameters() if p.dtype.is_floating_point} | {a.dtype}
        if torch.is_autocast_enabled(a.device.type):
            types.add(torch.get_autocast_dtype(a.device.type))
        rounding = max(torch.finfo(dtype).eps for dtype in types) ** 0.5
        scale = b[b.isfinite()].abs().max() if bool(b.isfinite().any()) else 0.0
        return torch.allclose(a, b, rtol=rounding, atol=rounding * float(scale), equal_nan=True)

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


def _of_length(out: Tensor, rows: int) -> Tensor:
    if out.ndim == 0 or len(out) != rows:
        raise ValueError(
            f"mc_predict: a batch of {rows} rows gave an output of shape {tuple(out.shape)}, which cannot be put "
            "together; leave `batch_size` out."
        )
    return out
