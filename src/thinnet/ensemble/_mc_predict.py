"""`mc_predict`: predictions from many forward passes with dropout on (Monte Carlo dropout)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Literal

import torch
from torch import Tensor, nn

from thinnet.ensemble._check_targets import Probabilities
from thinnet.ensemble._mc_mode import randomized
from thinnet.ensemble._noise import Source
from thinnet.ensemble._passes import Passes
from thinnet.ensemble._predictions import Predictions

OutputActivation = Literal["softmax", "sigmoid"] | Callable[[Tensor], Tensor]


def mc_predict(
    model: nn.Module,
    x: Tensor | tuple[object, ...],
    *,
    samples: int = 50,
    seed: int | None = None,
    batch_size: int | None = None,
    activation: OutputActivation | None = None,
    grad: bool = False,
) -> Predictions:
    r"""Predict with Monte Carlo dropout: the outputs of `samples` networks with masks drawn at random.

    Sample s of a seed is one network: its masks depend on the seed, the sample, the layer, the call and the row, and on
    nothing else. So predictions do not depend on how rows are batched, nor on how many samples there are, to rounding.

    **What is random.** Only what drops; everything else, batch normalization first of all, stays in eval mode.
    Afterwards every module is as it was, and so is the global random state.

    - Dropout layers of thinnet and torch, networks made by `tn.thin_`, and weights under `tn.DropConnect`. What all
      rows of a batch share in training, such as node sets, all rows of a sample share here.
    - `LSTM`, `GRU` and `RNN` with dropout between their layers; `MultiheadAttention`; the transformer layers, also
      where torch would skip dropout on a fused path.
    - Functions that a model calls itself: `F.dropout` and its kin, `F.scaled_dot_product_attention`,
      `F.multi_head_attention_forward`. They drop as they would in training: where one is called without effect, the
      module that calls it is run once in training mode to see what it calls then, and its buffers are restored. So
      `training=self.training` and `dropout_p=p if self.training else 0` drop, and a constant `training=False` does not.
    - Layers of others without parameters whose class has "drop" in its name, or is a `StochasticDepth`.

    Refused by name: scripted modules, and functions whose rates in training cannot be known. Not seen: dropout inside
    of compiled extensions, such as other attention kernels.

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
        TypeError: if the model is no module or scripted, x is no tensor and no tuple, or the output is not a tensor.
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
    if not isinstance(model, nn.Module):
        raise TypeError(f"mc_predict: `model` must be a torch.nn.Module, got {type(model).__name__}.")
    if not isinstance(x, Tensor | tuple):
        raise TypeError(f"mc_predict: `x` must be a tensor, or a tuple of the arguments, got {type(x).__name__}.")
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
        passes = Passes(model, args, how, rows, cuda)
        outputs = passes.split(samples, batch_size) if batch_size and split else passes.together(samples, batch_size)
        return Predictions(_gathered(((start, act(out)) for start, out in outputs), samples, grad), kind)


def _gathered(blocks: Iterator[tuple[int, Tensor]], samples: int, grad: bool) -> Tensor:
    """All samples (S, B, ...) of blocks (K, B, ...) and where they begin."""
    if grad:
        found = dict(blocks)
        return torch.cat([found[start] for start in sorted(found)])
    start, block = next(blocks)
    # in one piece from the beginning: outputs kept between forward passes would leave no room to use their memory again
    whole = block.new_empty((samples, *block.shape[1:]))
    whole[start : start + len(block)] = block
    for start, block in blocks:
        whole[start : start + len(block)] = block
    return whole


def _activation(activation: OutputActivation | None) -> tuple[Callable[[Tensor], Tensor], Probabilities | None]:
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
