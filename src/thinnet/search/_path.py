"""Regularization path: one model per strength of a plan, trained with warm starts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from thinnet.errors import NoEffectWarning
from thinnet.plan import Plan
from thinnet.search._check_path import check_functions, check_plan, checked_settings
from thinnet.search._gradient_recorder import Fit
from thinnet.search._grid import Direction
from thinnet.search._journal import Journal
from thinnet.search._journal_point import header, read_points, write_point
from thinnet.search._losses import Evaluate
from thinnet.search._path_result import RegularizationPath
from thinnet.search._path_trainer import PathTrainer
from thinnet.search._point import Point
from thinnet.search._snapshot import Snapshot
from thinnet.search._strength_max import strength_max_from_dense, strength_max_from_zero
from thinnet.search._strength_plan import StrengthPlan
from thinnet.search._task import Loss, MakeOptimizer, Settings, Task, Varied

_STRENGTH_MAX = {"up": strength_max_from_dense, "down": strength_max_from_zero}


def adam(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Adam with a learning rate of 3e-3: a point has few rounds to move in."""
    return torch.optim.Adam(parameters, lr=3e-3)


def path(
    make_model: Callable[[], nn.Module],
    plan: Plan | Varied,
    fit: Fit | None,
    evaluate: Evaluate,
    *,
    strengths: Iterable[float] | None = None,
    n_strengths: int = 50,
    eps: float = 1e-3,
    direction: Direction = "up",
    optimizer: MakeOptimizer = adam,
    rounds: int = 4,
    first_rounds: int = 100,
    patience: int = 1,
    average: float = 1.0,
    refit: int = 0,
    polish: Loss | None = None,
    compact: Any = None,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    callback: Callable[[Point], object] | None = None,
) -> RegularizationPath:
    r"""Train a regularization path with warm starts: one model per strength for roughly the cost of one training run.

    At strength t the plan's penalties and decays count t times: the network at t is a minimum of
    :math:`L(w) + t \, P(w)`. Weights, momenta and batch statistics go from point to point, so a point takes a few
    rounds where a training from scratch takes many.

    Strengths are found where none are given. With every penalized weight at zero and the rest trained, zero is a local
    optimum, of a convex cost the optimum, from
    :math:`t_{max} = \min \{t : -\nabla L \in t \, \partial P(0)\}` on, which one gradient tells: for L1
    :math:`\max |\nabla L| / s`, for groups :math:`\max \lVert \nabla L_g \rVert / (s \sqrt{n_g})`.

    - "down" begins there and goes down geometrically to eps · t_max, as glmnet does. Right for linear models and for
      penalties on a single layer; layers that feed each other can never become nonzero together, which is refused.
    - "up" begins with the dense network, a point of strength 0, takes for t_max the largest over penalized parts
      (each at zero by itself, the others dense), and goes up from eps · t_max until all are zero, as LassoNet does.

    Args:
        make_model: builds the network.
        plan: a plan, whose strengths are the ratios between layers, groups and rules; or, for any other scalar,
            `plan(model, value)`, which may set something on the model (a rate of dropout) and returns the plan for
            this value of `strengths`, or None.
        fit: one round of training, such as an epoch: `fit(model, optimizer)`. The model is in training mode, and the
            plan acts inside `optimizer.step()`. None with `polish` alone.
        evaluate: the loss on held-out data that chooses: `evaluate(model)`, lower is better. A number, or a tensor (n,)
            of losses, one an example or a fold, which gives the standard error. Use the loss that `fit` minimizes:
            a point ends when it plus the penalty falls no more. The model is in eval mode, without gradients.
        strengths: the strengths, rising for "up" and falling for "down"; None finds them.
        n_strengths: how many strengths, where they are found; "up" continues past them while a penalized weight is
            nonzero.
        eps: the weakest strength found over t_max.
        direction: "up" or "down".
        optimizer: makes the optimizer from the parameters. Adam with a learning rate of 3e-3 by default: a point has
            few rounds to move in, so it should be larger than for a single training.
        rounds: most rounds of a point. Where all points took them all, more will do better.
        first_rounds: most rounds of the first point, which is trained from scratch; on the way down, of all points
            until some weight has become nonzero. Where it took them all, more will do better: later points would then
            gain by longer training alone.
        patience: rounds without a gain, over the point's own and over the start, that end a point; a tenth of its most
            rounds if that is more.
        average: rounds over which weights are averaged before a point is measured and kept (Polyak averaging), at most
            `rounds`, which takes the noise of minibatches out; zeros stay as they are. The path itself goes on from the
            weights as they are trained. 0 keeps these; after `polish` there is nothing to average.
        refit: most rounds in which the nonzero weights are trained without penalty before a point is measured and kept
            (the relaxed lasso): zeros are kept, and shrinkage is undone. The path itself continues from the penalized
            weights.
        polish: the loss on all training data at once, `polish(model)`, differentiable: every point is then taken to its
            optimum in eval mode, which clears the false positives of mini-batch noise; of a large network that takes
            thousands of steps. See `tn.polish_`.
        compact: example inputs: dead structures are removed along the way up (`tn.compact_`), which makes it faster.
        checkpoint_dir: a folder in which finished points are kept. The same call goes on from them after Ctrl-C or
            kill; what `fit` draws from torch's global generator is drawn as if nothing had happened. It knows plan,
            model, settings and optimizer again, but not data or functions: name another folder when those change.
        callback: called with each point as it is finished, those read from `checkpoint_dir` left out; `print` shows
            progress.

    Warns:
        NoEffectWarning: on the way down no weight ever became nonzero.

    Returns:
        The path: `best`, `one_se`, `points`, `table()`, `figure()`; each point's `model()` is its network. Where
        training diverges, a point says so, and the path goes on from the point before.

    Raises:
        ValueError: the plan has nothing to vary or makes no zeros (give `strengths`), `fit` does not train, strengths
            are out of order, zero is optimal at every strength, or `checkpoint_dir` holds another path.
        TypeError: an argument or what a function returns is of another kind.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> x, y = torch.eye(4), torch.tensor([[4.0], [2.0], [1.0], [0.0]])
        >>> def loss(model):
        ...     return (model(x) - y).square().sum() / 2
        >>> path = tn.path(
        ...     lambda: torch.nn.Linear(4, 1, bias=False), tn.Plan(tn.L1(1.0)), None, loss,
        ...     polish=loss, n_strengths=3, eps=1 / 4, direction="down",
        ... )
        >>> [(round(point.strength, 3), point.nonzero) for point in path.points]  # t_max is max |y|; w = (|y| − t)+
        [(4.0, 0), (2.0, 1), (1.0, 2)]
        >>> path.best.model().weight.data.round(decimals=3)
        tensor([[3., 1., 0., 0.]])

    References:
        J. Friedman, T. Hastie, R. Tibshirani, Regularization Paths for Generalized Linear Models via Coordinate
        Descent, 2010.
        I. Lemhadri, F. Ruan, L. Abraham, R. Tibshirani, LassoNet: A Neural Network with Feature Sparsity, 2021.
        N. Meinshausen, Relaxed Lasso, 2007.
        B. Polyak, A. Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992.
    """
    check_functions(make_model, fit, evaluate, optimizer, polish, callback)
    if fit is None:
        if polish is None:
            raise ValueError("path: `fit` is None; give it, or `polish`, which needs no rounds of training.")
        if refit:
            raise ValueError("path: `refit` needs `fit`, which is None.")
    settings = checked_settings(
        direction=direction,
        strengths=strengths,
        n_strengths=n_strengths,
        eps=eps,
        rounds=rounds,
        first_rounds=first_rounds,
        patience=patience,
        refit=refit,
        average=average,
    )
    if fit is None:
        settings = replace(settings, rounds=0, first_rounds=0)
    check_plan(plan, settings, polish, compact)
    task = Task(make_model, plan, fit or _untrained, evaluate, optimizer, polish, compact)
    return _trained(task, settings, checkpoint_dir, callback)


def _untrained(model: nn.Module, optimizer: Optimizer) -> None:
    raise AssertionError("there are no rounds without `fit`")


def _trained(
    task: Task,
    settings: Settings,
    checkpoint_dir: str | os.PathLike[str] | None,
    callback: Callable[[Point], object] | None,
) -> RegularizationPath:
    trainer = PathTrainer(task, settings)
    if isinstance(task.plan, Plan) and settings.strengths is None and not trainer.model.sparsity:
        raise ValueError(
            f"path: {task.plan!r} takes no trainable weight of this model to zero, so there is no strength at which "
            "all is; give `strengths`."
        )
    journal = None if checkpoint_dir is None else Journal(checkpoint_dir, header(trainer))
    found = [] if journal is None else read_points(journal, task)
    largest = None
    checkpoint = journal.checkpoint() if journal and found else None
    if checkpoint is not None:
        found, largest = found[: checkpoint.plain["done"]], checkpoint.plain["largest"]
        trainer.resume(checkpoint)
    strengths = StrengthPlan(settings.direction, settings.strengths, settings.n_strengths, settings.eps)
    while True:
        if trainer.model.sparsity and strengths.needs_largest(len(found), largest):
            largest = _STRENGTH_MAX[settings.direction](trainer.trainer)
        strength = strengths.next(len(found), largest, left=bool(trainer.model.sparsity.value()))
        if strength is None:
            break
        point = trainer.point(strength, first=not found)
        if journal is not None:
            here = trainer.checkpoint()
            reached = Snapshot({**here.plain, "done": len(found) + 1, "largest": largest}, here.tensors)
            point = write_point(journal, len(found), point, reached)
        found.append(point)
        if callback is not None:
            callback(point)
    result = RegularizationPath(tuple(found), settings.direction)
    if len(found) > 1 and settings.direction == "down" and trainer.model.sparsity and not any(p.nonzero for p in found):
        warnings.warn(
            "path: no weight became nonzero on the way down: ReLU units may have died before one could, or `rounds` is "
            'too small; use direction="up", or a smaller learning rate.',
            NoEffectWarning,
            stacklevel=3,
        )
    return result
