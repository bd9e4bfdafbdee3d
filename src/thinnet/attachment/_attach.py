"""Attach a plan to an optimizer."""

from __future__ import annotations

import warnings
from itertools import groupby

from torch import nn
from torch.optim import Optimizer

from thinnet.attachment._attachment import ATTACHED, Attachment, Mode
from thinnet.attachment._drop_connect_masks import Connections
from thinnet.attachment._support import refuse
from thinnet.errors import NoEffectWarning, PlanWarning
from thinnet.plan import Finding, Plan

_NO_EFFECT = {"frozen", "not-in-optimizer", "zero-strength"}
_NAMED = 3
"""How many findings of one kind a warning spells out."""


def attach(model: nn.Module, plan: Plan, optimizer: Optimizer, mode: Mode = "step") -> Attachment:
    r"""Apply a plan's penalties and constraints on every `optimizer.step()`; the training loop does not change.

    Around each step, for every weight that has a gradient, in this order:

    1. smooth penalties (L2): dP/dw is added to the gradient, once a step however many micro-batches made it;
    2. decay: w ← w − lr · s · w;
    3. the optimizer's own step;
    4. penalties that are not smooth (L1, ElasticNet, GroupLasso): the proximal step
       :math:`\arg\min_u \tfrac12 \sum_i D_i (u_i - w_i)^2 + \mathrm{lr} \cdot P(u)`, where D is the optimizer's own
       per-coordinate metric (Adam's denominator). Zeros are exactly zero, and the point where training comes to rest is
       a minimum of loss + P. Groups that span parameters (CoupledGroupLasso) take theirs last, in one step over all of
       their weights that were stepped, each with its own learning rate;
    5. constraints: the projection.

    `DropConnect` acts elsewhere: whenever a layer runs in training mode, whatever the optimizer, until `detach`.

    A penalty's gradient is added after any clipping of gradients done before `step()`. Steps that a `GradScaler` skips
    are skipped here too. Under `maximize=True` the penalties are subtracted from what is maximized.

    Optimizers: SGD, Adam, AdamW, NAdam, RAdam, Adamax, Adagrad, RMSprop, Adadelta and Adafactor carry every rule. Rprop
    and Muon have no metric, and ASGD averages weights before they could be set to zero: what is not smooth is refused
    there by name, as it is in optimizers that thinnet does not know. LBFGS takes penalties in mode "cost" alone.

    Hooks do not survive `copy.deepcopy(optimizer)` or pickle: attach again to the copy.

    Args:
        model: any module.
        plan: which rule governs which of its parameters.
        optimizer: an optimizer of the model's parameters; parameters that it does not step are left alone.
        mode: "step" as above; "cost" leaves the penalties out of the step, to be added to the loss as
            `loss + attachment.cost()`, the textbook's way, which seldom makes exact zeros. Decay and constraints act
            inside the step in both.

    Returns:
        The handle: terms, summary, scale, state dict, detach.

    Raises:
        ValueError: a key of the plan claims nothing (near misses are named), a rule cannot act on its parameter or in
            this optimizer, or another attachment acts on the same parameter in the same optimizer.

    Warns:
        NoEffectWarning: rules of zero strength, frozen parameters, parameters that are not in the optimizer; and at a
            step, a weight under DropConnect whose layer was never called.
        PlanWarning: every other finding of `plan.findings(model, optimizer)`.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> _ = torch.nn.init.constant_(model.weight, 1.0)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        >>> attachment = tn.attach(model, tn.Plan(tn.L1(1.0)), optimizer)
        >>> (model(torch.tensor([[0.0, 2.0]]))).sum().backward()
        >>> optimizer.step()  # (1, 1) - 0.5 * (0, 2) = (1, 0), then each 0.5 * 1 nearer to zero
        >>> model.weight.tolist()
        [[0.5, 0.0]]
        >>> attachment.terms()
        {'L1': 0.5}

    References:
        J. Yun, A. C. Lozano, E. Yang, Adaptive Proximal Gradient Methods for Structured Neural Networks, 2021.
        I. Loshchilov, F. Hutter, Decoupled Weight Decay Regularization, 2019.
    """
    for name, value, kind in (("model", model, nn.Module), ("plan", plan, Plan), ("optimizer", optimizer, Optimizer)):
        if not isinstance(value, kind):
            raise TypeError(f"attach: `{name}` must be a {kind.__name__}, got {type(value).__name__}.")
    if mode not in ("step", "cost"):
        raise ValueError(f'attach: `mode` must be "step" or "cost", got {mode!r}.')
    findings = plan.findings(model, optimizer)
    unmatched = [finding for finding in findings if finding.code == "no-match"]
    if unmatched:
        raise ValueError(f"attach: {' '.join(map(str, unmatched))}")
    bindings = plan.bind(model)
    refuse(bindings, optimizer, mode == "step")
    connections = Connections(model, bindings)
    for other in ATTACHED.get(optimizer, ()):
        twice = {id(b.parameter) for b in other.bindings} & {id(b.parameter) for b in bindings}
        if twice:
            names = [binding.name for binding in bindings if id(binding.parameter) in twice]
            raise ValueError(
                f"attach: {', '.join(names)}: another attachment acts on this already in this optimizer; detach() it "
                "first, or put all rules in one plan."
            )
    _warn(findings)
    return Attachment(bindings, optimizer, mode, connections)


def _warn(findings: tuple[Finding, ...]) -> None:
    """One warning a code, naming the first few."""
    for code, found in groupby(sorted(findings, key=lambda f: f.code), key=lambda f: f.code):
        alike = list(found)
        more = f" (and {len(alike) - _NAMED} more like it: plan.findings(model, optimizer))" * (len(alike) > _NAMED)
        text = f"[{code}] {' '.join(map(str, alike[:_NAMED]))}{more}"
        warnings.warn(text, NoEffectWarning if code in _NO_EFFECT else PlanWarning, stacklevel=3)
