"""The group lasso over groups of weights that lie in several parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thinnet._strength import precise
from thinnet._weight_groups import roots
from thinnet.penalties._group_lasso import outcome_norms
from thinnet.penalties._group_members import Members, Memberships
from thinnet.penalties._group_sums import add_to_groups, group_sizes, group_zeros, parts_of
from thinnet.penalties._joint_penalty import JointPenalty


def coupled_group_lasso(ws: Mapping[str, Tensor], strength: float, members: Memberships) -> Tensor:
    """Compute s · Σ_g sqrt(size_g) · ‖w_g‖ over the parameters `ws`, a scalar."""
    table = _table(ws, members)
    squares = group_zeros(ws, table)
    for name, w in ws.items():
        add_to_groups(squares, precise(w).square(), table[name][0], table.slots(name, w.device))
    return strength * (group_sizes(ws, table).sqrt_() * roots(squares))[: table.groups].sum()


@torch.no_grad()
def coupled_group_lasso_prox_(
    ws: Mapping[str, Tensor], strength: float, members: Memberships, metrics: Mapping[str, Tensor | float]
) -> None:
    """The proximal step, in place: group g is zero where ‖D∘w_g‖ <= τ, and else D θ/(D θ + τ) · w_g.

    Here τ = s · sqrt(size_g), D is `metrics`, and θ, the norm of the outcome, solves Σ (D w / (D θ + τ))² = 1; sizes,
    norms and sums are over all the parameters `ws`.
    """
    table = _table(ws, members)
    tau = group_sizes(ws, table).sqrt_().mul_(strength)
    parts = tuple(parts_of(ws, metrics, table))
    pulls, bends, squares, tilts = (group_zeros(ws, table) for _ in range(4))
    for p in parts:
        pulls_squared, norms_squared = (p.d * precise(p.z)).square_(), precise(p.z).square()
        p.add(pulls, pulls_squared)
        p.add(bends, pulls_squared.mul_(p.d))
        p.add(squares, norms_squared)
        p.add(tilts, norms_squared.div_(p.d))
    pulls[table.groups] = 0  # what is in no group counts as removed at the threshold zero, which does not change it

    def at(theta: Tensor) -> tuple[Tensor, Tensor]:
        sums, slopes = group_zeros(ws, table), group_zeros(ws, table)
        for p in parts:
            r = p.d / (p.d * p.broadcast(theta)).add_(p.broadcast(tau))
            terms = (precise(p.z) * r).square_()
            p.add(sums, terms)
            p.add(slopes, terms.mul_(r))
        return sums, slopes

    theta = outcome_norms((pulls, bends, squares, tilts.mul_(tau)), tau, at)
    for p in parts:
        p.w.div_((p.broadcast(tau) / (p.d * p.broadcast(theta))).add_(1))


def _table(ws: Mapping[str, Tensor], members: Memberships) -> Members:
    """The members, checked to be those of `ws`."""
    table = Members.of(members)
    if not ws:
        raise ValueError(f"CoupledGroupLasso: no parameter given; `members` names {', '.join(table)}.")
    for name, w in ws.items():
        table.check(name, w.shape)
    return table


@dataclass(frozen=True, eq=False, repr=False)
class CoupledGroupLasso(JointPenalty):
    r"""Group lasso over groups of weights that lie in several parameters: whole groups become exactly zero.

    .. math:: P(w) = s \sum_g \sqrt{n_g} \, \lVert w_g \rVert_2

    A group g of n_g weights is every slice, of whatever parameter, that bears its number: the columns that all readers
    of a channel have for it, or the four columns of an attention head. It acts as `GroupLasso` does, on many parameters
    at once: `value`, `prox` and `prox_` take parameters by name.

    Where only some of a group's parameters are given (the others are frozen, or have no gradient at this step), the
    group is what is given: neither the norm nor the number of the other weights counts, and they stay as they are.

    In a plan it governs exactly the parameters that it names. `Plan(rule)` needs no key; in a mapping it stands under
    any key that claims all of them, such as `"*"`.

    Args:
        strength: s >= 0, a number.
        members: per name of a parameter: the dimension, of the parameter as stored, along which its indices belong to
            groups, and the number of the group of each index, -1 for none. Weights of no group are left alone.

    Raises:
        ValueError: the strength is negative, NaN or infinite, or there is no group.
        TypeError: the strength is no number (a stack has no groups across parameters), or `members` is of another form.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> penalty = tn.CoupledGroupLasso(1.0, {"a.weight": (1, [0, -1]), "b.weight": (0, [0, 1])})
        >>> a, b = torch.tensor([[3.0, 9.0], [4.0, 9.0]]), torch.tensor([[12.0, 0.0], [1.0, 0.0]])
        >>> penalty.value({"a.weight": a, "b.weight": b})  # sqrt(4) · ‖(3, 4, 12, 0)‖ + sqrt(2) · ‖(1, 0)‖
        tensor(27.4142)
        >>> stepped = penalty.prox({"a.weight": a, "b.weight": b}, {"a.weight": 1.0, "b.weight": 1.0})
        >>> stepped["b.weight"]  # 13 becomes 13 − 2, and 1 is under the threshold sqrt(2)
        tensor([[10.1538,  0.0000],
                [ 0.0000,  0.0000]])
        >>> stepped["a.weight"][:, 1]
        tensor([9., 9.])

    References:
        M. Yuan, Y. Lin, Model Selection and Estimation in Regression with Grouped Variables, 2006.
        J. Yun, A. C. Lozano, E. Yang, Adaptive Proximal Gradient Methods for Structured Neural Networks, 2021.
    """

    def value(self, ws: Mapping[str, Tensor]) -> Tensor:
        """See `JointPenalty.value`; the slope of a zero group is zero."""
        return coupled_group_lasso(ws, self.strength, self.members)

    def prox_(self, ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float]) -> None:
        """See `JointPenalty.prox_`."""
        coupled_group_lasso_prox_(ws, self.strength, self.members, metrics)
