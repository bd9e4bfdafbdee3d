"""Many predictions from one network with dropout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from thinnet.ensemble._masking import MASKED, Masks, masked_forward
from thinnet.ensemble._predictions import Predictions, Probabilities
from thinnet.ensemble._unseen import RefuseFunctionalDropout

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

    Only what drops at random is put in training mode: dropout layers of thinnet and torch (`Dropout`, `Dropout1d` to
    `Dropout3d`, `AlphaDropout`, `FeatureAlphaDropout`), `LSTM`, `GRU` and `RNN` with dropout between their layers, and
    `MultiheadAttention` with dropout. Everything else, batch normalization first of all, stays in eval mode, also where
    torch would skip dropout on a fused path (`TransformerEncoderLayer`). Afterwards every module is as it was, and so
    is the global random state.

    Sample s of a seed is the same network for every row and, where the masks are drawn by a layer of its own, whatever
    the batch size. Masks drawn inside a recurrent or attention layer depend on the batch: such a model is predicted at
    once. Dropout that a model calls as a function in its `forward` is refused; an attention function that is told
    `dropout_p=0` in eval mode is not seen, and stays without dropout.

    Args:
        model: any module with dropout of p > 0; it is called as `model(*x)`.
        x: the input, or a tuple of the arguments.
        samples: S, how many networks.
        seed: of the masks, >= 0; None takes one from the operating system.
        batch_size: rows of x (of every argument, along its first dimension) at a time; None is all at once.
        activation: what turns the outputs into predictions: "softmax" over the last dimension and "sigmoid" make
            probabilities, which entropies need; a callable; or None to leave them.
        grad: keep the graph, for gradients of the predictions; off by default.

    Returns:
        `Predictions` with samples (S, B, ...).

    Raises:
        TypeError: if the model is scripted, or its output is not a tensor.
        ValueError: if nothing in the model is random, if its masks would depend on the batches, or a setting is out of
            its range.

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
    masks = Masks(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) if seed is None else seed)
    batches = _batches(args, batch_size)
    devices = {t.device for t in (*model.parameters(), *model.buffers(), *(a for a in args if isinstance(a, Tensor)))}
    cuda = sorted({d.index or 0 for d in devices if d.type == "cuda"})
    # layers that work in place must not change x for the next sample
    fresh = any(getattr(module, "inplace", False) for module in model.modules())
    outputs = []
    with ExitStack() as stack:
        stack.enter_context(_randomized(model, masks, batched=len(batches) > 1))
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        stack.enter_context(torch.set_grad_enabled(grad))
        if any(hasattr(module, "_orig_mod") for module in model.modules()):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(RefuseFunctionalDropout())
        for sample in range(samples):
            masks.begin_sample(sample)
            _seed(masks.number() >> 1, cuda)
            state = _state(cuda)
            parts = []
            for rows in batches:
                masks.begin_batch(rows.stop - rows.start if len(batches) > 1 else None)
                out = model(*(_part(a, rows if len(batches) > 1 else None, fresh) for a in args))
                if not isinstance(out, Tensor):
                    raise TypeError(
                        f"mc_predict: the model must return a tensor, got {type(out).__name__}; wrap it in a module "
                        "that returns the one you want."
                    )
                if len(batches) > 1:
                    _check_batch(out, rows, sample == 0 and not torch.equal(_state(cuda), state))
                parts.append(act(out))
            outputs.append(torch.cat(parts) if len(parts) > 1 else parts[0])
    return Predictions(torch.stack(outputs), kind)


@contextmanager
def _randomized(model: nn.Module, masks: Masks, *, batched: bool) -> Iterator[None]:
    """The model in eval mode but for its dropout, which draws from `masks`."""
    modules = list(model.named_modules())
    if any(isinstance(module, torch.jit.ScriptModule) for _, module in modules):
        raise TypeError("mc_predict: the masks of a scripted module cannot be seeded; give the module it was made of.")
    masked = [(name, m) for name, m in modules if type(m) in MASKED and m.p and "forward" not in vars(m)]
    ours = {id(module) for _, module in masked}
    inside = [(name, module) for name, module in modules if id(module) not in ours and _drops_inside(module)]
    if not masked and not inside:
        raise ValueError(
            f"mc_predict: nothing in {type(model).__name__} is random: it has no dropout layer with p > 0; "
            "put a tn.Dropout into it (dropout called as a function is not seen)."
        )
    if inside and batched:
        name, module = inside[0]
        raise ValueError(
            f"mc_predict: {type(module).__name__} '{name}' draws its dropout inside, so its masks would depend on the "
            "batches; leave `batch_size` out."
        )
    random = ours | {id(module) for _, module in inside}
    modes = [(module, module.training) for _, module in modules]
    try:
        for _, module in modules:
            # an encoder layer in eval mode takes a fused path without dropout
            module.training = id(module) in random or (
                isinstance(module, nn.TransformerEncoderLayer) and any(id(m) in random for m in module.modules())
            )
        for index, (name, module) in enumerate(masked):
            vars(module)["forward"] = masked_forward(module, name, index, masks)
        yield
    finally:
        for _, module in masked:
            vars(module).pop("forward", None)
        for module, mode in modes:
            module.training = mode


def _drops_inside(module: nn.Module) -> bool:
    """Whether the module drops in a way that only itself can draw."""
    if isinstance(module, MASKED):
        return bool(module.p)
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    return isinstance(module, nn.MultiheadAttention) and module.dropout > 0


def _activation(activation: Activation | None) -> tuple[Callable[[Tensor], Tensor], Probabilities | None]:
    if activation is None:
        return lambda out: out, None
    if callable(activation):
        return activation, None
    if activation == "softmax":
        return lambda out: out.softmax(-1), "classes"
    if activation == "sigmoid":
        return torch.sigmoid, "independent"
    raise ValueError(f'mc_predict: `activation` must be "softmax", "sigmoid", a callable or None, got {activation!r}.')


def _batches(args: tuple[object, ...], batch_size: int | None) -> list[slice]:
    """The rows of each forward pass."""
    if batch_size is None:
        return [slice(0, 0)]
    tensors = [a for a in args if isinstance(a, Tensor)]
    rows = {len(t) if t.ndim else None for t in tensors}
    if len(rows) != 1 or None in rows:
        raise ValueError(
            f"mc_predict: `batch_size` needs arguments alike in their first dimension, got "
            f"{[tuple(t.shape) for t in tensors]}; leave it out."
        )
    total = len(tensors[0])
    starts = list(range(0, total, batch_size)) or [0]
    if total % batch_size == 0 and 1 < batch_size < total:
        # batches of two sizes: a dimension that only happens to equal the batch size gives itself away
        starts.append(total - 1)
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], total], strict=True)]


def _part(arg: object, rows: slice | None, fresh: bool) -> object:
    """The rows of a tensor, copied if the model may overwrite them; anything else as it is."""
    if not isinstance(arg, Tensor):
        return arg
    part = arg if rows is None else arg[rows]
    return part.clone() if fresh else part


def _check_batch(out: Tensor, rows: slice, drew: bool) -> None:
    """Refuse outputs that batching would change."""
    size = rows.stop - rows.start
    if out.ndim == 0 or len(out) != size:
        raise ValueError(
            f"mc_predict: a batch of {size} rows gave an output of shape {tuple(out.shape)}, which cannot be put "
            "together; leave `batch_size` out."
        )
    if drew:
        raise ValueError(
            "mc_predict: the model draws random numbers outside of its dropout layers, so its predictions would depend "
            "on the batches; leave `batch_size` out."
        )


def _seed(seed: int, cuda: list[int]) -> None:
    """Seed the global generators in use, and only those."""
    torch.default_generator.manual_seed(seed)
    for index in cuda:
        torch.cuda.default_generators[index].manual_seed(seed)


def _state(cuda: list[int]) -> Tensor:
    return torch.cat([torch.get_rng_state(), *(torch.cuda.get_rng_state(index) for index in cuda)])
