"""Concrete dropout: dropout whose rate is learned."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from thinnet._random import threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def relaxed_keep(u: Tensor, logit: Tensor, temperature: float) -> Tensor:
    """Compute 1 − z, z = σ((θ + logit u)/t) the concrete relaxation of a Bernoulli variable of rate σ(θ), u uniform."""
    return torch.sigmoid((logit + torch.logit(u)) / -temperature)


def rate_divergence(logit: Tensor) -> Tensor:
    """Compute KL(Bernoulli(p) ‖ Bernoulli(1/2)) = log 2 − H(p) for p = σ(θ), in nats."""
    p, q = torch.sigmoid(logit), torch.sigmoid(-logit)
    return math.log(2) + p * F.logsigmoid(logit) + q * F.logsigmoid(-logit)


class ConcreteDropout(DropoutLayer):
    r"""Dropout whose rate p = σ(θ) is learned with the weights, θ being its parameter `logit`.

    $$y = \frac{(1 - z) \circ x}{1 - p}, \qquad z = \sigma\Bigl(\frac{\theta + \operatorname{logit} u}{t}\Bigr),
      \quad u \sim \mathcal U(0, 1)$$

    z is nearly 0 or 1, and above 1/2 with probability p; unlike a mask it can be differentiated by θ. The expectation
    of y is x but for a part that vanishes with t². In eval mode it is the identity.

    The rate is learned from the cost: a mean loss **per example** that is a negative log-likelihood in nats
    (cross-entropy; a Gaussian's, not the bare squared error), and the regularizer of the rates,

    $$\frac 1 N \sum_{\text{layers}} \Bigl( K\,(\log 2 - H(p)) + \frac s 2\,\frac{\lVert W \rVert^2}{1 - p} \Bigr),$$

    with N the number of training examples, K that of the dropped inputs, H(p) the entropy of the rate and W the weight
    of the layer that reads y: `loss + tn.concrete_cost(model, examples=N)`. The entropy draws p toward 1/2, the loss
    and the weights draw it down, and the more examples there are the smaller it ends. Without the regularizer nothing
    holds p up.

    Leave θ out of weight decay, which would pull p to 1/2: `tn.Plan(rule)` does, AdamW's own `weight_decay` does not.

    Args:
        p: the rate at the start, in (0, 1); as an attribute, the rate now, which may be set.
        layer: the linear layer or convolution that reads the output, for its weight's part in the cost; do not put L2
            on that weight as well. It stays a module of the model alone. None leaves that part out.
        strength: s >= 0, of that part, as in `L2(s)`: the precision of a normal prior on the weights, 1 by default.
        temperature: t > 0; smaller is nearer to a mask, and of steeper gradients.
        generator: source of u, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type, or `layer` is neither
            linear nor a convolution.
        ValueError: if p is not in (0, 1), the strength is negative, or the temperature is not positive.

    Shape:
        Input and output: any shape, the same.

    Example:
        >>> import torch, thinnet as tn
        >>> read = torch.nn.Linear(8, 1)
        >>> drop = tn.ConcreteDropout(0.5, layer=read)
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), drop, read)
        >>> cost = tn.concrete_cost(model, examples=100)  # at p = 1/2: |W|² / 100
        >>> torch.testing.assert_close(cost, read.weight.square().sum() / 100)
        >>> cost.backward()
        >>> torch.testing.assert_close(drop.logit.grad, cost.detach() / 2)  # |W|²/2 · e^θ at θ = 0

    References:
        Y. Gal, J. Hron, A. Kendall, "Concrete Dropout", 2017.
        C. J. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", 2017.
    """

    logit: nn.Parameter

    def __init__(
        self,
        p: float = 0.1,
        *,
        layer: nn.Module | None = None,
        strength: float = 1.0,
        temperature: float = 0.1,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(p, generator=generator)
        if layer is not None and not isinstance(layer, LAYERS):
            raise TypeError(
                f"ConcreteDropout: `layer` must be a Linear or Conv1d to Conv3d layer, got {type(layer).__name__}."
            )
        if not 0 <= strength < math.inf:
            raise ValueError(f"ConcreteDropout: `strength` must be finite and >= 0, got {strength}.")
        if not 0 < temperature < math.inf:
            raise ValueError(f"ConcreteDropout: `temperature` must be finite and > 0, got {temperature}.")
        self.strength = strength
        self.temperature = temperature
        self.features = None if layer is None else layer.weight.shape[1] * getattr(layer, "groups", 1)
        # in a tuple, so that its parameters are not registered here as well
        self._read_by = () if layer is None else (layer,)

    @property
    def p(self) -> float:
        """The rate now."""
        return float(self.logit.detach().sigmoid())

    @p.setter
    def p(self, value: float) -> None:
        threshold(value)
        if value in (0, 1):
            bound = "more than 0" if value == 0 else "less than 1"
            raise ValueError(f"ConcreteDropout: `p` must be {bound}, got {value}: a learned rate never leaves its end.")
        logit = math.log(value) - math.log1p(-value)
        if "logit" in self._parameters:
            nn.init.constant_(self.logit, logit)
        else:
            self.logit = nn.Parameter(torch.tensor(logit))

    def drops(self) -> bool:
        """Return whether the rate is above zero: always, and without reading it back from the device."""
        return True

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """(1 − z) ∘ x / (1 − p)."""
        if not self._read_by:
            self.features = x.shape[-1] if x.ndim else 1
        precision = torch.promote_types(x.real.dtype, torch.float32)
        logit = self.logit.to(precision)
        kept = relaxed_keep(noise.uniform(x.shape, precision, x.device), logit, self.temperature)
        # 1/(1 − p) = 1 + exp θ
        return x * (kept * (1 + logit.exp())).to(x.real.dtype)

    def cost(self, examples: int) -> Tensor:
        """This layer's part of `concrete_cost`: a scalar, differentiable by θ and the layer's weight.

        Raises:
            ValueError: if `examples` is no positive integer.
            RuntimeError: if K is not known yet: there is no `layer`, and no input was seen.
        """
        if isinstance(examples, bool) or not isinstance(examples, int) or examples < 1:
            raise ValueError(f"ConcreteDropout: `examples` must be an integer >= 1, got {examples!r}.")
        if self.features is None:
            raise RuntimeError(
                "ConcreteDropout: the cost needs the number of inputs, which is not known before the first call in "
                "training; call the model first, or give the layer that reads the output as `layer`."
            )
        cost = self.features * rate_divergence(self.logit)
        for layer in self._read_by:
            cost = cost + self.strength / 2 * layer.weight.square().sum() * (1 + self.logit.exp())
        return cost / examples

    def extra_repr(self) -> str:
        """The rate now, and the temperature."""
        return f"p={self.p:.4g}, temperature={self.temperature}"


def concrete_cost(model: nn.Module, examples: int) -> Tensor:
    r"""Sum the regularizers of all learned rates of a model, to be added to a mean loss per example.

    $$\frac 1 N \sum_{\text{layers}} \Bigl( K\,(\log 2 - H(p)) + \frac s 2\,\frac{\lVert W \rVert^2}{1 - p} \Bigr)$$

    The symbols are those of `ConcreteDropout`; the paper's −K·H(p) lacks the constant that makes it a divergence.

    Args:
        model: a module with `ConcreteDropout` layers.
        examples: N, the number of training examples, not of those in a batch.

    Returns:
        A scalar, differentiable.

    Raises:
        ValueError: if the model has no such layer, or `examples` is no positive integer.
        RuntimeError: if a layer has neither a `layer` nor seen an input.

    Example:
        >>> import math, torch, thinnet as tn
        >>> model = torch.nn.Sequential(tn.ConcreteDropout(0.25))
        >>> _ = model(torch.ones(5, 3))
        >>> entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
        >>> cost = tn.concrete_cost(model, examples=10)
        >>> torch.testing.assert_close(cost, torch.tensor(3 * (math.log(2) - entropy) / 10))
    """
    layers = [module for module in model.modules() if isinstance(module, ConcreteDropout)]
    if not layers:
        raise ValueError(f"concrete_cost: {type(model).__name__} has no ConcreteDropout layer.")
    device = layers[0].logit.device
    return torch.stack([layer.cost(examples).to(device) for layer in layers]).sum()
