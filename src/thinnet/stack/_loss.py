"""Losses of a stack: one value a member, over its rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def stack_cross_entropy(
    logits_KBC: Tensor,
    target_B: Tensor,
    row_weights_KB: Tensor | None = None,
    label_smoothing_K: Tensor | None = None,
) -> Tensor:
    r"""Compute the cross-entropy of every member.

    `loss_k = Σ_b r_kb [−(1 − s_k) log p_kb(y_b) − s_k mean_c log p_kb(c)] / Σ_b r_kb`, as torch's `label_smoothing`.

    Args:
        logits_KBC: outputs of a stack.
        target_B: classes, int64, shared by all members.
        row_weights_KB: r, weight of row b for member k (0: unseen); None is 1. A member that sees no row has loss 0.
        label_smoothing_K: s; None is 0.

    Returns:
        (K,). Its sum trains every member, each as if alone.

    Example:
        >>> import torch, thinnet as tn
        >>> tn.stack_cross_entropy(torch.zeros(3, 5, 4), torch.zeros(5, dtype=torch.int64))  # log 4
        tensor([1.3863, 1.3863, 1.3863])
    """
    log_p_KCB = F.log_softmax(logits_KBC.transpose(1, 2), dim=1)
    loss_KB = -log_p_KCB.gather(1, target_B.expand(len(log_p_KCB), 1, -1)).squeeze(1)
    if label_smoothing_K is not None:
        s_K1 = label_smoothing_K.to(loss_KB.dtype).unsqueeze(-1)
        loss_KB = (1 - s_K1) * loss_KB - s_K1 * log_p_KCB.mean(1)
    return _mean_over_rows(loss_KB, row_weights_KB)


def stack_squared_error(outputs_KBC: Tensor, target: Tensor, row_weights_KB: Tensor | None = None) -> Tensor:
    """Compute the mean squared error of every member: `loss_k = Σ_b r_kb mean_c (ŷ_kbc − y_bc)² / Σ_b r_kb`.

    Args:
        outputs_KBC: outputs of a stack.
        target: (B,) for one output, or (B, C).
        row_weights_KB: r, weight of row b for member k (0: unseen); None is 1. A member that sees no row has loss 0.

    Returns:
        (K,).

    Example:
        >>> import torch, thinnet as tn
        >>> tn.stack_squared_error(torch.zeros(2, 3, 1), torch.tensor([1.0, 2.0, 3.0]))  # (1 + 4 + 9) / 3
        tensor([4.6667, 4.6667])
    """
    target_BC = target.unsqueeze(-1) if target.ndim == 1 else target
    return _mean_over_rows((outputs_KBC - target_BC).square().mean(-1), row_weights_KB)


def _mean_over_rows(loss_KB: Tensor, row_weights_KB: Tensor | None) -> Tensor:
    if row_weights_KB is None:
        return loss_KB.mean(-1)
    total_K = row_weights_KB.sum(-1)
    # torch.where, not max: a fractional total must divide as it is
    return (loss_KB * row_weights_KB).sum(-1) / torch.where(total_K > 0, total_K, 1)
