"""The structures that can go, as a penalty: training then ends in a model that compacts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thinnet.compaction._potential import potential_flow
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze._inputs import ExampleInputs
from thinnet.errors import NotCompactableError
from thinnet.penalties import CoupledGroupLasso

Slices = list[tuple[str, int, Tensor]]
"""Parameter, dimension, indices."""


def groups(model: nn.Module, example_inputs: ExampleInputs, *, strength: float = 1.0) -> CoupledGroupLasso:
    r"""The removable structures of a model (nodes, channels, heads) as a rule for a plan.

    .. math:: P(w) = s \sum_g \sqrt{n_g} \, \lVert w_g \rVert_2

    A group g of n_g weights is all that others read of one structure: the columns of every layer behind it, through
    reshapes, residual sums and concatenations. Once it is zero, nobody reads the structure, and `compact` removes it
    with everything that makes it: `tn.Plan(tn.groups(model, x, strength=1e-3))` trains to a model that compacts.

    What is read by no weights (a residual stream under RMSNorm) is grouped by the weights that write it, where none of
    them is in a group of the first kind.

    Args:
        model: any module that `torch.export` can trace; in training mode or not. It is not changed.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.
        strength: s >= 0.

    Raises:
        NotCompactableError: the model cannot be traced, or has no structure that could go.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> rule = tn.groups(model, torch.randn(5, 3))
        >>> dict(rule.members)  # node i is what column i of the second weight reads
        {'2.weight': (1, (0, 1, 2, 3))}

    References:
        M. Yuan, Y. Lin, Model Selection and Estimation in Regression with Grouped Variables, 2006.
    """
    flow = potential_flow(model, example_inputs, "groups")
    chosen = _chosen(flow)
    members: dict[str, tuple[int, Tensor]] = {}
    for number, slices in enumerate(chosen):
        for name, dim, indices in slices:
            entry = members.setdefault(name, (dim, torch.full((flow.length(name, dim),), -1)))
            entry[1][indices] = number
    if not members:
        raise NotCompactableError(
            f"groups: {type(model).__name__} has no structure that could go; tn.compactable(model, example_inputs) "
            "says what holds each."
        )
    return CoupledGroupLasso(strength, {name: (dim, numbers.tolist()) for name, (dim, numbers) in members.items()})


def _chosen(flow: Flow) -> list[Slices]:
    """The slices of each group: readers where all reads are of parameters, else writers; one dimension a parameter."""
    read, written, silent = _places(flow)
    pinned = flow.labels.pins()
    taken: dict[str, int] = {}
    found: list[Slices] = []
    for by, labels in ((read, sorted(set(read) - silent)), (written, sorted(silent & set(written)))):
        for label in labels:
            slices = by[label]
            if label in pinned or any(taken.get(name, dim) != dim for name, dim, _ in slices):
                continue
            taken |= {name: dim for name, dim, _ in slices}
            found.append(slices)
    return found


def _places(flow: Flow) -> tuple[dict[int, Slices], dict[int, Slices], set[int]]:
    """Where each label is read by a parameter, where parameters write it, and which are read by something else."""
    sources = {read.source for read in flow.reads if read.source is not None}
    parameters = {name for name in flow.parameters if isinstance(flow.tensor(name), nn.Parameter)}
    silent: set[int] = set()
    everywhere: set[int] = set()
    for read in flow.reads:
        reading = set(flow.labels.roots(read.labels).tolist())
        everywhere |= reading
        if read.source is None or read.source[0] not in parameters:
            silent |= reading
    read_by: dict[int, Slices] = {}
    written_by: dict[int, Slices] = {}
    for name in parameters:
        for dim, labels in enumerate(flow.parameters[name]):
            if labels is None:
                continue
            by = read_by if (name, dim) in sources else written_by
            roots = flow.labels.roots(labels)
            for label in torch.unique(roots).tolist():
                if label in everywhere:
                    by.setdefault(label, []).append((name, dim, torch.nonzero(roots == label).flatten()))
    return read_by, written_by, silent
