"""Functional dropout (`F.dropout`, attention, recurrent layers) drawn from a sample's noise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from thinnet._random import LEVELS, apply_mask, threshold
from thinnet.dropout import Noise
from thinnet.ensemble._noise import SampleNoise


@dataclass(frozen=True)
class _Arguments:
    """Where a function has its rate, and its flag for training if it has one: position, name, default."""

    rate: tuple[int, str, float]
    training: tuple[int, str, bool] | None


_USUAL = _Arguments((1, "p", 0.5), (2, "training", True))
_OFF = _Arguments((1, "p", 0.5), (2, "training", False))
_BUILT_IN = _Arguments((1, "p", 0.5), (2, "train", False))
FUNCTIONS: dict[Any, _Arguments] = {
    **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d), _USUAL),
    **dict.fromkeys((F.alpha_dropout, F.feature_alpha_dropout), _OFF),
    **dict.fromkeys((torch.dropout, torch.dropout_, torch.feature_dropout, torch.feature_dropout_), _BUILT_IN),
    **dict.fromkeys((torch.alpha_dropout, torch.alpha_dropout_), _BUILT_IN),
    **dict.fromkeys((torch.feature_alpha_dropout, torch.feature_alpha_dropout_), _BUILT_IN),
    torch.ops.aten.dropout.default: _BUILT_IN,
    F.scaled_dot_product_attention: _Arguments((4, "dropout_p", 0.0), None),
    F.multi_head_attention_forward: _Arguments((10, "dropout_p", 0.0), (13, "training", True)),
}
RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


class SampledFunctions(TorchFunctionMode):
    """Torch function mode in which functions that drop elements draw from `noise`.

    Whether a call drops, and at which rate, is what it would be in training: the layers of torch are in training mode
    anyway, and what a module calls with `training=self.training` or `dropout_p=p if self.training else 0`, `learn`
    finds out.

    Args:
        noise: of these functions.

    Attributes:
        rates: of the calls of a forward pass, in their order, where they are not what the calls say themselves.
        log: the function and the rate of each call in this forward pass.
        silent: modules that called without effect, perhaps because they are in eval mode, and what; None when learned.
    """

    def __init__(self, noise: SampleNoise) -> None:
        super().__init__()
        self.noise = noise
        self.rates: list[float] | None = None
        self.log: list[tuple[str, float]] = []
        self.silent: dict[nn.Module, str] | None = {}
        self.learning = False

    def begin(self) -> None:
        """Start a forward pass."""
        self.log = []

    def learn(self, forward: Callable[[], object]) -> bool:
        """Find out what the calls of the forward pass before would have been in training.

        Only the modules that made silent calls are in training mode meanwhile, and their buffers are restored.

        Args:
            forward: the forward pass; it draws nothing.

        Returns:
            Whether there is a call whose rate is another one in training.

        Raises:
            ValueError: if the forward pass fails with these modules in training mode, or makes other calls.
        """
        before, owners, self.silent = self.log, self.silent, None
        if not owners:
            return False
        modes = [(module, module.training) for module in owners]
        buffers = [(buffer, buffer.clone()) for module in owners for buffer in module.buffers()]
        first, name = next(iter(owners.items()))
        named = f"{type(first).__name__} calls torch.nn.functional.{name} itself"
        self.learning = True
        try:
            for module in owners:
                module.training = True
            self.begin()
            forward()
        except Exception as error:
            raise ValueError(
                f"mc_predict: {named}, and in training mode, which shows the rate, its forward pass fails: {error}; "
                "use a tn.Dropout layer in its place."
            ) from error
        finally:
            self.learning = False
            for module, mode in modes:
                module.training = mode
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)
        if [name for name, _ in self.log] != [name for name, _ in before]:
            raise ValueError(
                f"mc_predict: {named}, and its calls are others in training mode than in eval mode, so that their "
                "rates cannot be known; use a tn.Dropout layer in its place."
            )
        if self.log == before:
            return False
        self.rates = [rate for _, rate in self.log]
        return True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        where = FUNCTIONS.get(func)
        if where is None:
            if func in RECURRENT and not kwargs:
                return _recurrent(func, args, self.noise)
            return func(*args, **kwargs)
        rate, training = _read(args, kwargs, where.rate), True
        if where.training is not None:
            training = bool(_read(args, kwargs, where.training))
        if not (rate if where.training is None else training):
            self._note_silent(func.__name__)
        rate = self._rate(func.__name__, float(rate) if training else 0.0)
        if self.learning or not rate:
            args, kwargs = _write(args, kwargs, where.rate, 0.0)
            return func(*args, **kwargs)
        self.noise.name = f"torch.nn.functional.{func.__name__}"
        if func is F.dropout:
            x = args[0] if args else kwargs["input"]
            inplace = _read(args, kwargs, (3, "inplace", False))
            return apply_mask(x, self.noise.keep(x.shape, rate, x.device), threshold(rate), inplace=inplace)
        args, kwargs = _write(args, kwargs, where.rate, rate)
        if where.training is not None:
            args, kwargs = _write(args, kwargs, where.training, True)
        on_cpu = args[0].device.type == "cpu" if args else True
        # fused attention draws inside its kernels
        with nullcontext() if on_cpu else sdpa_kernel(SDPBackend.MATH), _FromNoise(self.noise):
            return func(*args, **kwargs)

    def _rate(self, name: str, rate: float) -> float:
        """The rate of this call."""
        at = len(self.log)
        if self.rates is not None:
            if at >= len(self.rates):
                raise ValueError(
                    f"mc_predict: the model calls torch.nn.functional.{name} more often in one forward pass than in "
                    "another, so that its rate cannot be known; use a tn.Dropout layer in its place."
                )
            rate = self.rates[at]
        self.log.append((name, rate))
        return rate

    def _note_silent(self, name: str) -> None:
        """Remember the module whose forward makes this call."""
        frame: FrameType | None = sys._getframe(2)
        while self.silent is not None and frame is not None:
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module):
                # those of torch are in the right mode already
                if not type(module).__module__.startswith("torch.nn."):
                    self.silent.setdefault(module, name)
                return
            frame = frame.f_back


class _FromNoise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Torch dispatch mode in which the dropout masks of torch's own operations come from `noise`."""

    def __init__(self, noise: Noise) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noise = noise

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.bernoulli_.float:
            # arguments that are the default do not come
            x, keep = args if len(args) > 1 else (args[0], 0.5)
            return x.copy_(self.noise.keep(x.shape, 1 - keep, x.device))
        if func is torch.ops.aten.native_dropout.default:
            x, p = args[:2]
            kept, t = self.noise.keep(x.shape, p, x.device), threshold(p)
            return (x * kept).mul_(LEVELS / t if t else 0.0), kept
        return func(*args, **(kwargs or {}))


def _recurrent(func: Callable[..., Any], args: tuple[Any, ...], noise: Noise) -> Any:
    """Run an LSTM, GRU or RNN layer by layer, with dropout between the layers.

    The arguments are those of torch.lstm: input, [batch_sizes of a packed one,] state, weights, bias, layers, dropout,
    train, bidirectional, [batch_first].
    """
    packed = isinstance(args[1], Tensor) and not args[1].is_floating_point()
    at = 2 if packed else 1
    x, sizes, (state, weights, bias, layers, p, train, bidirectional, *first) = args[0], args[1:at], args[at:]
    if not (train and p and layers > 1):
        return func(*args)
    directions, width = 1 + bidirectional, len(weights) // layers
    ends = []
    for layer in range(layers):
        mine = slice(layer * directions, (layer + 1) * directions)
        start = tuple(part[mine] for part in state) if isinstance(state, tuple) else state[mine]
        own = weights[layer * width : (layer + 1) * width]
        x, *end = func(x, *sizes, start, own, bias, 1, 0.0, train, bidirectional, *first)
        ends.append(end)
        if layer < layers - 1:
            # rows first, also where time is
            rows = x if packed or first[0] else x.transpose(0, 1)
            rows = apply_mask(rows, noise.keep(rows.shape, p, x.device), threshold(p))
            x = rows if packed or first[0] else rows.transpose(0, 1)
    return (x, *(torch.cat(parts) for parts in zip(*ends, strict=True)))


def _read(args: tuple[Any, ...], kwargs: dict[str, Any], where: tuple[int, str, Any]) -> Any:
    at, name, default = where
    return args[at] if at < len(args) else kwargs.get(name, default)


def _write(
    args: tuple[Any, ...], kwargs: dict[str, Any], where: tuple[int, str, Any], value: object
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    at, name, _ = where
    if at < len(args):
        return (*args[:at], value, *args[at + 1 :]), kwargs
    return args, {**kwargs, name: value}
