"""The group lasso over groups that span parameters: whole structures of a network become exactly zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thinnet.penalties._group_lasso import outcome_norms
from thinnet.penalties._group_sums import add_to_groups, group_sizes, group_zeros, parts_of
from thinnet.penalties._members import Members, Memberships
from thinnet.rule import Coupling, Rule, finite_dial, precise, roots


def coupled_group_lasso(ws: Mapping[str, Tensor], strength: float, members: Memberships) -> Tensor:
    """The value s · Σ_g sqrt(size_g) · ‖w_g‖ over the parameters `ws`, a scalar."""
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
    pulls[table.groups] = 0  # what is in no group is gone at the threshold zero, which leaves it as it is

    def at(theta: Tensor) -> tuple[Tensor, Tensor]:
        sums, slopes = group_zeros(ws, table), group_zeros(ws, table)
        for p in parts:
            r = p.d / (p.d * p.spread(theta)).add_(p.spread(tau))
            terms = (precise(p.z) * r).square_()
            p.add(sums, terms)
            p.add(slopes, terms.mul_(r))
        return sums, slopes

    theta = outcome_norms((pulls, bends, squares, tilts.mul_(tau)), tau, at)
    for p in parts:
        p.w.div_((p.spread(tau) / (p.d * p.spread(theta))).add_(1))


def _table(ws: Mapping[str, Tensor], members: Memberships) -> Members:
    """The members, after a look at whether they are those of `ws`."""
    table = Members.of(members)
    if not ws:
        raise ValueError(f"CoupledGroupLasso: no parameter given; `members` names {', '.join(table)}.")
    for name, w in ws.items():
        table.check(name, w.shape)
    return table


@dataclass(frozen=True, eq=False, repr=False)
class CoupledGroupLasso(Rule):
    r"""Drives groups of weights that lie in several parameters to exactly zero, each group as a whole.

    .. math:: P(w) = s \sum_g \sqrt{n_g} \, \lVert w_g \rVert_2

    A group g of n_g weights is every slice, of whatever parameter, that bears its number: the columns that all readers
    of a channel have for it, or the four columns of an attention head. It acts as `GroupLasso` does, on many parameters
    at once, and so is not a `Penalty`, which acts on one: `value`, `prox` and `prox_` take parameters by name.

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

    strength: float
    members: Memberships
    smooth: ClassVar[bool] = False

    def __post_init__(self) -> None:
        strength: object = self.strength
        if isinstance(strength, Tensor):
            raise TypeError(
                f"CoupledGroupLasso: `strength` must be a number, got a tensor of shape {tuple(strength.shape)}: "
                "groups that span parameters have no stack of members; give each model a rule of its own."
            )
        super().__post_init__()
        finite_dial("CoupledGroupLasso", "strength", self.strength)
        object.__setattr__(self, "members", Members.of(self.members))

    @property
    def couples(self) -> Coupling:
        """The weights of its members."""
        return "members"

    @property
    def induces_zeros(self) -> bool:
        """Whole groups at once."""
        return True

    def settings(self) -> dict[str, object]:
        """The strength, and the members as plain lists."""
        plain = {name: [dim, list(numbers)] for name, (dim, numbers) in self.members.items()}
        return {"strength": self.strength, "members": plain}

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Refuse, by name, a parameter that `members` does not name or that has another shape than they say."""
        Members.of(self.members).check(name, shape)

    def kept(self, indices: Mapping[str, Mapping[int, Tensor]]) -> CoupledGroupLasso | None:
        """The same rule for parameters of which only these indices are left; None where no group is.

        Args:
            indices: per parameter, per dimension: the indices that stay, in order; all of them where it says nothing.
        """
        left = {
            name: (dim, [numbers[i] for i in indices.get(name, {}).get(dim, torch.arange(len(numbers))).tolist()])
            for name, (dim, numbers) in self.members.items()
        }
        if all(number < 0 for _, numbers in left.values() for number in numbers):
            return None
        return type(self)(self.strength, left)

    def value(self, ws: Mapping[str, Tensor]) -> Tensor:
        """P of the parameters given, differentiable, a scalar in float32 or better; the slope of a zero group is zero.

        Args:
            ws: parameters by name, as stored; all that `members` names, or some of them.
        """
        return coupled_group_lasso(ws, self.strength, self.members)

    def prox(self, ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        r"""argmin_u ½ Σ D (u − w)² + P(u): the proximal step.

        Args:
            ws: parameters by name, as stored; all that `members` names, or some of them.
            metrics: D of each, positive and finite: of its shape, or one number. After a step of an optimizer it is the
                optimizer's metric divided by the length of the step, which may differ from parameter to parameter.
        """
        stepped = {name: w.detach().clone() for name, w in ws.items()}
        self.prox_(stepped, metrics)
        return stepped

    def prox_(self, ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float]) -> None:
        """See `prox`; the outcome is written into `ws`."""
        coupled_group_lasso_prox_(ws, self.strength, self.members, metrics)

    def __repr__(self) -> str:
        groups, parameters = Members.of(self.members).groups, len(self.members)
        return f"CoupledGroupLasso(strength={self.strength}, members=<{groups} groups in {parameters} parameters>)"
