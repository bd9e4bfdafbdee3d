"""Greedy ensemble selection with replacement (Caruana et al., 2004)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Loss = Literal["log_loss", "squared_error"] | Callable[[Floats, NDArray[np.generic]], ArrayLike]

# true-class probabilities below this are raised to it: log loss stays finite, as in scikit-learn
FLOOR = 1e-15
# losses nearer than this are equal: what is left between them is rounding
TIE = 1e-12


def greedy_selection(
    predictions: ArrayLike,
    targets: ArrayLike,
    loss: Loss,
    *,
    rounds: int = 50,
    start: int = 0,
    patience: int = 10,
    bags: int = 1,
    fraction: float = 0.5,
    seed: int = 0,
) -> Floats:
    r"""Select ensemble weights greedily with replacement: each round adds the member that lowers the loss the most.

    With S the sum of the members chosen so far, round r adds the member (one may be chosen many times)

    $$k_r = \arg\min_m \; L\Big(\frac{S + P_m}{r}, y\Big)$$

    and the ensemble of the round with the lowest loss is kept: its weights are its counts divided by their sum. As the
    first round chooses the best single member, the ensemble is never worse than it on the data given (without bags).

    Args:
        predictions: P, of shape (M, N, C) or (M, N): M members' predictions for N rows. Probabilities for "log_loss":
            of each of the C classes, or of class 1.
        targets: y. Class numbers (N,) for "log_loss", an array of a member's shape for "squared_error", anything for a
            callable.
        loss: "log_loss" (mean over rows), "squared_error" (mean over elements), or a callable that takes averaged
            predictions (m, N, ...) of m ensembles and y, and gives their m losses.
        rounds: the most members an ensemble has, counted with their repetitions.
        start: begin with up to this many of the best single members, as many as give the lowest loss; 0 is the same
            as 1.
        patience: stop after this many rounds without a lower loss.
        bags: how often to select, each time from a random part of the members; the weights are averaged, which guards
            against overfitting when members are many and rows are few. 1 is one selection from all.
        fraction: part of the members in each bag when there is more than one.
        seed: of the bags.

    Returns:
        Weights of shape (M,), not negative, summing to 1. Members that tie go to the lower index.

    Raises:
        TypeError: if loss is neither known by name nor callable.
        ValueError: if predictions or targets have NaN, infinity, a wrong shape or no probabilities where those are
            needed, or a setting is out of its range.

    Example:
        Two members that err to opposite sides are averaged; the third is left out:

        >>> from thinnet.ensemble import greedy_selection
        >>> greedy_selection([[0.0, 2.0], [2.0, 4.0], [9.0, 9.0]], [1.0, 3.0], "squared_error").tolist()
        [0.5, 0.5, 0.0]

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models", 2004.
    """
    for name, value, least in (
        ("rounds", rounds, 1),
        ("start", start, 0),
        ("patience", patience, 1),
        ("bags", bags, 1),
    ):
        if value < least:
            raise ValueError(f"greedy_selection: `{name}` must be >= {least}, got {value}.")
    if not 0 < fraction <= 1:
        raise ValueError(f"greedy_selection: `fraction` must be in (0, 1], got {fraction}.")
    library = _library(predictions, targets, loss)
    members = len(library.p)
    if bags == 1:
        return _select(library, rounds, start, patience)
    rng = np.random.default_rng(seed)
    weights = np.zeros(members)
    for _ in range(bags):
        bag = np.sort(rng.choice(members, size=int(np.ceil(fraction * members)), replace=False))
        weights[bag] += _select(library.part(bag), rounds, start, patience) / bags
    return weights


def _select(library: _Library, rounds: int, start: int, patience: int) -> Floats:
    """Weights from one selection."""
    total = np.zeros(library.p.shape[1:])
    chosen: list[int] = []
    losses: list[float] = []
    if start:
        for k in np.argsort(library.losses(total, 0), kind="stable")[: min(start, rounds)]:
            losses.append(float(library.part([k]).losses(total, len(chosen))[0]))
            chosen.append(int(k))
            total += library.p[k]
        del chosen[_first_lowest(np.array(losses)) + 1 :], losses[len(chosen) :]
        total = library.p[chosen].sum(axis=0)
    while len(chosen) < rounds and len(chosen) - (_first_lowest(np.array(losses)) + 1 if losses else 0) < patience:
        candidates = library.losses(total, len(chosen))
        k = _first_lowest(candidates)
        chosen.append(k)
        losses.append(float(candidates[k]))
        total += library.p[k]
    best = _first_lowest(np.array(losses)) + 1
    return np.bincount(chosen[:best], minlength=len(library.p)) / best


def _first_lowest(losses: Floats) -> int:
    """The first index whose loss is the lowest, to rounding."""
    lowest = losses.min()
    return int(np.argmax(losses <= lowest + TIE * max(1.0, abs(lowest))))


class _Library(Protocol):
    """Members to choose from, in the form in which their loss is cheapest."""

    p: Floats

    def losses(self, total: Floats, size: int) -> Floats:
        """Loss of (total + p_m) / (size + 1) for each m; infinity where it is surely not the lowest."""

    def part(self, members: NDArray[np.int64] | list[int]) -> Self:
        """Only these members."""


@dataclass
class _LogLoss:
    """Members as the probability they gave to the true class of each row, p (M, N)."""

    p: Floats
    p2: Floats

    def losses(self, total: Floats, size: int) -> Floats:
        """Exact where a lower bound does not rule the member out.

        With a = total/size and u = (p − a)/(a (size + 1)), the loss of a row is −log a − log(1 + u), and
        −log(1 + u) ≥ −u + u²/(2 (1 + max u)) where max u is at p = 1. The bound is a quadratic in p, so it costs two
        matrix-vector products instead of M·N logarithms.
        """
        if not size:
            return np.asarray(-np.log(self.p).mean(axis=1))
        a = total / size
        s = 1 / (a * (size + 1))
        w = s * s / (2 * (1 + (1 - a) * s))
        linear, squared = _times(self.p, s + 2 * a * w), _times(self.p2, w)
        constant = (a * a * w + a * s - np.log(a)).sum()
        slack = 1e-13 * (linear + squared + abs(constant)) + 2 * TIE * len(a)
        bound = (squared - linear + constant - slack) / len(a)
        likely = int(np.argmin(bound))
        losses = np.full(len(self.p), np.inf)
        losses[likely] = self._exact(total, size, [likely])[0]
        open_ = np.flatnonzero(bound <= losses[likely])
        losses[open_] = self._exact(total, size, open_)
        return losses

    def _exact(self, total: Floats, size: int, members: NDArray[np.int64] | list[int]) -> Floats:
        return np.asarray(np.log(size + 1) - np.log(total + self.p[members]).mean(axis=1))

    def part(self, members: NDArray[np.int64] | list[int]) -> Self:
        return type(self)(self.p[members], self.p2[members])


@dataclass
class _SquaredError:
    """Members as flat rows, p (M, D), beside flat targets y (D,)."""

    p: Floats
    y: Floats
    norms: Floats

    def losses(self, total: Floats, size: int) -> Floats:
        """‖total + p − (size + 1) y‖² by its three terms: one matrix-vector product."""
        r = total - (size + 1) * self.y
        return np.asarray(((r * r).sum() + 2 * _times(self.p, r) + self.norms) / ((size + 1) ** 2 * len(r)))

    def part(self, members: NDArray[np.int64] | list[int]) -> Self:
        return type(self)(self.p[members], self.y, self.norms[members])


@dataclass
class _CustomLoss:
    """Members as they came, under a loss of the user's."""

    p: Floats
    y: NDArray[np.generic]
    loss: Callable[[Floats, NDArray[np.generic]], ArrayLike]

    def losses(self, total: Floats, size: int) -> Floats:
        losses = np.asarray(self.loss((total + self.p) / (size + 1), self.y), dtype=np.float64)
        sound = bool((losses > -np.inf).all())
        if losses.shape != (len(self.p),) or not sound:
            raise ValueError(
                f"greedy_selection: `loss` must give {len(self.p)} numbers for {len(self.p)} ensembles, "
                f"got shape {losses.shape}{'' if sound else ' with NaN or minus infinity'}."
            )
        return losses

    def part(self, members: NDArray[np.int64] | list[int]) -> Self:
        return type(self)(self.p[members], self.y, self.loss)


def _times(p: Floats, w: Floats) -> Floats:
    """P w by torch, whose threads the caller has set; numpy's would be a second pool that fights with them."""
    return torch.mv(torch.from_numpy(p), torch.from_numpy(w)).numpy()


def _library(predictions: ArrayLike, targets: ArrayLike, loss: Loss) -> _Library:
    """Predictions and targets, checked, in the form that suits the loss."""
    p, y = np.asarray(predictions, dtype=np.float64), np.asarray(targets)
    if p.ndim not in (2, 3) or 0 in p.shape:
        raise ValueError(f"greedy_selection: `predictions` must be (M, N, C) or (M, N) and not empty, got {p.shape}.")
    if not np.isfinite(p).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(p))[0])
        raise ValueError(
            f"greedy_selection: member {at[0]} predicts {p[at]} for row {at[1]}; out-of-fold predictions are complete "
            "and finite: leave such a member or such rows out."
        )
    if callable(loss):
        return _CustomLoss(p, y, loss)
    if loss == "squared_error":
        if y.shape != p.shape[1:]:
            raise ValueError(f"greedy_selection: squared_error needs targets of shape {p.shape[1:]}, got {y.shape}.")
        flat = np.require(p.reshape(len(p), -1), requirements=["C", "W"])
        y = y.astype(np.float64).ravel()
        if not np.isfinite(y).all():
            raise ValueError("greedy_selection: `targets` have NaN or infinity; leave rows without a target out.")
        return _SquaredError(flat, y, np.einsum("md,md->m", flat, flat))
    if loss == "log_loss":
        true = _true_class(p, y)
        return _LogLoss(true, true * true)
    raise TypeError(f'greedy_selection: `loss` must be "log_loss", "squared_error" or a callable, got {loss!r}.')


def _true_class(p: Floats, y: NDArray[np.generic]) -> Floats:
    """The probability that each member gave to the true class of each row, (M, N)."""
    classes = p.shape[2] if p.ndim == 3 else 2
    if y.shape != p.shape[1:2] or not np.isin(y, np.arange(classes)).all():
        raise ValueError(
            f"greedy_selection: log_loss needs {p.shape[1]} targets in 0, ..., {classes - 1}, "
            f"got shape {y.shape} with values {np.unique(y)[:5].tolist()}."
        )
    if p.min() < 0 or p.max() > 1 + 1e-6:
        raise ValueError(
            f"greedy_selection: log_loss needs probabilities in [0, 1], got {p.min()} to {p.max()}; "
            "apply the softmax first."
        )
    if p.ndim == 2:
        true = np.where(y == 1, p, 1 - p)
    else:
        true = p.reshape(len(p), -1).take(np.arange(len(y)) * classes + y.astype(np.int64), axis=1)
    return np.clip(true, FLOOR, 1)
