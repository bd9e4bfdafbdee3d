"""The removable structures of a model as groups of a group lasso."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thinnet.compaction._compactable import dependencies_of
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._inputs import ExampleInputs
from thinnet.errors import NotCompactableError
from thinnet.penalties import CoupledGroupLasso

Slices = list[tuple[str, int, Tensor]]
"""Parameter, dimension, indices."""


def groups(model: nn.Module, example_inputs: ExampleInputs, *, strength: float = 1.0) -> CoupledGroupLasso:
    r"""The removable structures of a model (nodes, channels, heads) as a rule for a plan.

    .. math:: P(w) = s \sum_g \sqrt{n_g} \, \lVert w_g \rVert_2

    A group g of n_g weights holds all outgoing weights of one structure: the columns of every layer behind it, through
    reshapes, residual sums and concatenations. Once it is zero, no layer depends on the structure, and `compact`
    removes it with everything that computes it: `tn.Plan(tn.groups(model, x, strength=1e-3))` trains to a model that
    compacts.

    A structure without outgoing weights (a residual stream under RMSNorm) is grouped by its incoming weights, where
    none of them is in a group of the first kind.

    Args:
        model: any module that `torch.export` can trace; in training mode or not. It is not changed.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.
        strength: s >= 0.

    Raises:
        NotCompactableError: the model cannot be traced, or has no structure that could be removed.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> rule = tn.groups(model, torch.randn(5, 3))
        >>> dict(rule.members)  # column i of this weight is all that is outgoing of neuron i
        {'2.weight': (1, (0, 1, 2, 3))}

    References:
        M. Yuan, Y. Lin, Model Selection and Estimation in Regression with Grouped Variables, 2006.
    """
    deps = dependencies_of(model, example_inputs, "groups")
    chosen = _chosen(deps)
    members: dict[str, tuple[int, Tensor]] = {}
    for number, slices in enumerate(chosen):
        for name, dim, indices in slices:
            entry = members.setdefault(name, (dim, torch.full((deps.length(name, dim),), -1)))
            entry[1][indices] = number
    if not members:
        raise NotCompactableError(
            f"groups: {type(model).__name__} has no structure that could be removed; "
            "tn.compactable(model, example_inputs) lists what prevents each."
        )
    return CoupledGroupLasso(strength, {name: (dim, numbers.tolist()) for name, (dim, numbers) in members.items()})


def _chosen(deps: DependencyGraph) -> list[Slices]:
    """The slices of each group: outgoing weights where all consumers are parameters, else incoming."""
    outgoing, incoming, silent = _places(deps)
    pinned = deps.groups.pins()
    taken: dict[str, int] = {}
    found: list[Slices] = []
    for by, labels in ((outgoing, sorted(set(outgoing) - silent)), (incoming, sorted(silent & set(incoming)))):
        for label in labels:
            slices = by[label]
            if label in pinned or any(taken.get(name, dim) != dim for name, dim, _ in slices):
                continue
            taken |= {name: dim for name, dim, _ in slices}
            found.append(slices)
    return found


def _places(deps: DependencyGraph) -> tuple[dict[int, Slices], dict[int, Slices], set[int]]:
    """Per label the outgoing weights, the incoming weights, and the labels with a consumer that is no parameter."""
    sources = {consumer.source for consumer in deps.consumers if consumer.source is not None}
    parameters = {name for name in deps.parameters if isinstance(deps.tensor(name), nn.Parameter)}
    silent: set[int] = set()
    everywhere: set[int] = set()
    for consumer in deps.consumers:
        reading = set(deps.groups.roots(consumer.labels).tolist())
        everywhere |= reading
        if consumer.source is None or consumer.source[0] not in parameters:
            silent |= reading
    outgoing: dict[int, Slices] = {}
    incoming: dict[int, Slices] = {}
    for name in parameters:
        for dim, labels in enumerate(deps.parameters[name]):
            if labels is None:
                continue
            by = outgoing if (name, dim) in sources else incoming
            roots = deps.groups.roots(labels)
            for label in torch.unique(roots).tolist():
                if label in everywhere:
                    by.setdefault(label, []).append((name, dim, torch.nonzero(roots == label).flatten()))
    return outgoing, incoming, silent
