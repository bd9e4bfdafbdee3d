"""Forward hooks that mask a weight of a module while it runs."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch._compile import _disable_dynamo

from thinnet._random import apply_mask, threshold
from thinnet.dropout._drop_connect import DropConnect
from thinnet.dropout._dropout import Dropout
from thinnet.dropout._noise import Noise


class WeightMask:
    """Pair of forward hooks that put M ∘ W / (1 − p) in the place of one weight W while its module runs (DropConnect).

    A pair of forward hooks. The masked weight shadows the parameter as a plain attribute, so that whatever the module's
    forward reads is masked and autograd finds its way to the parameter; the parameter itself stays where it is. In a
    module that calls itself in its own forward, what the outer call does after the inner one is not masked.

    The seam for predicting with many networks: between `draw` and `release` every call uses one and the same mask, in
    training and eval mode.

    Args:
        rule: the rate and the seed.
        name: of the weight; two weights of one seed have different masks.
        attribute: the weight's attribute in the module that owns it.
        owner: the path from the module that runs to the one that owns the weight; "" is the module itself.

    Attributes:
        p: the rate, which may be set.
        acted: whether it has masked yet.
    """

    def __init__(self, rule: DropConnect, name: str, attribute: str, owner: str = "") -> None:
        self.attribute = attribute
        self.owner = owner
        self.seed = rule.seed
        self.calls = 0
        self.acted = False
        self._stream = zlib.crc32(name.encode())
        self._dropout = Dropout(rule.p)
        self._source: Noise | None = None
        self._mask: Tensor | None = None

    @property
    def p(self) -> float:
        """The rate."""
        return self._dropout.p

    @p.setter
    def p(self, value: float) -> None:
        threshold(value)
        self._dropout.p = value

    def put_on(self, module: nn.Module) -> None:
        """Start acting whenever `module` runs, in the place of a mask that is there already."""
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, WeightMask) and (hook.owner, hook.attribute) == (self.owner, self.attribute):
                hook.take_off(module)
        module.register_forward_pre_hook(self)
        module.register_forward_hook(self.restore, always_call=True)

    def take_off(self, module: nn.Module) -> None:
        """Stop acting on `module`."""
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key in [key for key, hook in hooks.items() if hook in (self, self.restore)]:
                del hooks[key]
                module._forward_hooks_always_called.pop(key, None)

    def draw(self, noise: Noise) -> None:
        """Use one mask from `noise` at every call from now on; it is drawn at the first.

        It is asked once, for `noise.keep_shared(shape, p, device)` of the weight's shape and device.
        """
        self._source, self._mask = noise, None

    def release(self) -> None:
        """End what `draw` began."""
        self._source = self._mask = None

    def __call__(self, module: nn.Module, args: object) -> None:
        """Put the masked weight in the parameter's place."""
        owner = module.get_submodule(self.owner) if self.owner else module
        if getattr(owner, "_is_replica", False):
            raise RuntimeError(
                f"DropConnect: nn.DataParallel copies '{self.attribute}' to where its mask cannot follow; use "
                "DistributedDataParallel."
            )
        # what Ctrl-C, after which no hook is called, may have left there
        vars(owner).pop(self.attribute, None)
        w: Tensor = getattr(owner, self.attribute)
        if self._source is None and not (module.training and w.requires_grad and self.p):
            return
        self.acted = True
        vars(owner)[self.attribute] = self._masked(w)
        _reread(owner)

    def restore(self, module: nn.Module, args: object, output: object) -> None:
        """Put the parameter back, also after an exception in the forward."""
        owner = module.get_submodule(self.owner) if self.owner else module
        if vars(owner).pop(self.attribute, None) is not None:
            _reread(owner)

    def _masked(self, w: Tensor) -> Tensor:
        if self._source is not None:
            if self._mask is None:
                self._mask = self._source.keep_shared(w.shape, self.p, w.device)
            return apply_mask(w, self._mask, threshold(self.p))
        masked: Tensor = self._dropout.perturb(w, Noise()) if self.seed is None else self._seeded(w)
        return masked

    # the compiler knows no generators: it would warn of each. torch.compiler.disable would load it with this module.
    @_disable_dynamo
    def _seeded(self, w: Tensor) -> Tensor:
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError(
                f"DropConnect: the layer of '{self.attribute}' is computed again in the backward pass (a checkpoint), "
                "where its seed would give another mask; leave the seed out and use torch.manual_seed."
            )
        sequence = np.random.SeedSequence(self.seed, spawn_key=(self._stream, self.calls))
        self.calls += 1
        generator = Generator(w.device).manual_seed(int(sequence.generate_state(1)[0]))
        return self._dropout.perturb(w, Noise(generator))


def weight_masks(model: nn.Module) -> dict[str, WeightMask]:
    """Return the masks on a model's weights by the names of the weights, each once.

    Example:
        >>> import torch, thinnet as tn
        >>> from thinnet.dropout import weight_masks
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> attachment = tn.attach(model, tn.Plan(tn.DropConnect(0.5)), optimizer)
        >>> [(name, mask.p) for name, mask in weight_masks(model).items()]
        [('0.weight', 0.5)]
    """
    return dict(_masks(model))


def _masks(model: nn.Module) -> Iterator[tuple[str, WeightMask]]:
    for prefix, module in model.named_modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightMask):
                yield ".".join(filter(None, (prefix, hook.owner, hook.attribute))), hook


def _reread(owner: nn.Module) -> None:
    """Refresh the list of weights that a recurrent layer keeps."""
    if isinstance(owner, nn.RNNBase):
        flat = [getattr(owner, name, None) for name in owner._flat_weights_names]
        owner._flat_weights = flat
        owner._flat_weight_refs = [None if w is None else weakref.ref(w) for w in flat]
