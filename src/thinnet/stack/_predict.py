"""The outputs of a stack for any number of rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROWS_AT_A_TIME = 4096
"""Rows in one forward pass: the activations of all of them may be too many to hold."""


@torch.no_grad()
def predict(stack: nn.Module, x_ND: Tensor, members: slice = slice(None)) -> Tensor:
    """Compute the outputs of a run of members, a few thousand rows at a time and without gradients.

    Args:
        stack: a `Stack`, or a module that is called alike: `stack(x, members)`.
        x_ND: any number of rows (N, D) shared by all members, at least one.
        members: the run of members.

    Returns:
        (K, N, C), in the mode (training or evaluation) in which the stack is.

    Example:
        >>> import torch
        >>> from thinnet.stack import Member, Stack, predict
        >>> stack = Stack([Member(seed=0), Member(seed=1)], in_features=3, hidden=[4], out_features=2).eval()
        >>> x = torch.ones(5000, 3)
        >>> predict(stack, x, slice(1, 2)).shape
        torch.Size([1, 5000, 2])
        >>> bool((predict(stack, x)[1, 4999] - stack.member(1)(x[4999])).abs().max() < 1e-6)
        True
    """
    return torch.cat([stack(rows, members) for rows in torch.split(x_ND, _ROWS_AT_A_TIME)], dim=1)
