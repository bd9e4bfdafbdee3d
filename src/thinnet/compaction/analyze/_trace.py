"""Graphs of tensor operations traced from a model, each operation with its module and line."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram, exported_program
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from thinnet.compaction.analyze._blame import blame
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._quiet import quiet
from thinnet.errors import NotCompactableError

_WHOLE = (
    *("linear", "matmul", "scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu"),
    *("layer_norm", "group_norm", "instance_norm", "rms_norm", "stack", "roll", "pixel_shuffle", "pixel_unshuffle"),
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
)
"""Operations that are not decomposed: their meaning is lost in the steps that they are made of."""

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in')


@dataclass(frozen=True)
class Trace:
    """A traced model.

    Args:
        graph: its operations, all of them functions of tensors.
        program: what the graph stands in.
        how: what traced it.
        names: the parameter or buffer that a placeholder stands for.
        values: the tensor (or number) that each placeholder gets.
        inputs: the placeholders of the example inputs.
        outputs: the nodes that the model returns.
    """

    graph: fx.Graph
    program: ExportedProgram
    how: str
    names: Mapping[fx.Node, str]
    values: Mapping[fx.Node, Any]
    inputs: frozenset[fx.Node]
    outputs: tuple[fx.Node, ...]


@dataclass(frozen=True)
class Origin:
    """Where an operation comes from.

    Args:
        module: the name of the module whose forward calls it, "" for the model itself.
        kind: that module's class.
        line: file and line, as "model.py:12".
    """

    module: str
    kind: str
    line: str

    def __str__(self) -> str:
        where = f"{self.module} ({self.kind})" if self.module else self.kind
        return f"{where} at {self.line}" if self.line else where


@contextlib.contextmanager
def plain_attention() -> Iterator[None]:
    """Attention by its own operations, not by torch's fused inference path, which no graph shows."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def trace(model: nn.Module, inputs: Inputs, what: str = "compact") -> Trace:
    """The graph of `model` on these inputs; `what` names the function in errors.

    Raises:
        NotCompactableError: it cannot be traced; torch's own reason and line are in the message.
    """
    program, how = _export(model, inputs, what)
    with quiet():
        program = _decomposed(program)
    tensors = {**dict(model.named_buffers(remove_duplicate=False)), **program.constants}
    tensors |= dict(model.named_parameters(remove_duplicate=False))
    first = {id(tensor): name for name, tensor in reversed([*model.named_parameters(), *model.named_buffers()])}
    given = iter(pytree.tree_leaves(program.example_inputs))
    names, values, placed = {}, {}, set()
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    for node, spec in zip(nodes, program.graph_signature.input_specs, strict=True):
        if spec.kind is InputKind.USER_INPUT:
            values[node] = next(given)
            placed.add(node)
        else:
            values[node] = tensors[spec.target or ""]
            if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
                # tied tensors are known by their first name
                names[node] = first.get(id(values[node]), spec.target or "")
    last = next(node for node in program.graph.nodes if node.op == "output")
    outputs = tuple(node for node in pytree.tree_leaves(last.args) if isinstance(node, fx.Node))
    return Trace(program.graph, program, how, names, values, frozenset(placed), outputs)


def origin(node: fx.Node) -> Origin:
    """Where the operation of a node comes from."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else kind.__qualname__
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if "/torch/" not in frame[0]] or frames
    line = f"{Path(own[-1][0]).name}:{own[-1][1]}" if own else ""
    return Origin(_clean(path), kind.rpartition(".")[2], line)


def _clean(path: str) -> str:
    """The module's name as `named_modules` has it."""
    return re.sub(r"@\d+$", "", path.removeprefix("L['self'].").removeprefix("L__self__."))


def operation(node: fx.Node) -> str:
    """The name of a node's operation: "linear", "view", "add"."""
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.partition("::")[2]
    return getattr(node.target, "__name__", str(node.target))


def _export(model: nn.Module, inputs: Inputs, what: str) -> tuple[ExportedProgram, str]:
    """The program, and what traced it: each tracer follows something that the others cannot."""
    errors = []
    for how, tracer in _TRACERS.items():
        try:
            with torch.no_grad(), plain_attention(), quiet():
                return tracer(model, inputs), how
        except Exception as error:
            errors.append(error)
    first = errors[0]
    reason, place = str(first).strip().partition("\n\n")[0], blame(model, first)
    cache = "A model of transformers is to be called with use_cache=False. " if "Cache" in reason else ""
    raise NotCompactableError(
        f"{what}: {type(model).__name__} cannot be traced{f' ({place})' if place.line else ''}: "
        f"{type(first).__name__}: {reason} {cache}Control flow that depends on the values of tensors has no fixed "
        f"graph: {what} the submodules around it one by one."
    ) from first


def _by_export(model: nn.Module, inputs: Inputs, *, strict: bool = False) -> ExportedProgram:
    return torch.export.export(model, inputs.args, dict(inputs.kwargs), strict=strict)


_TRACERS: dict[str, Callable[[nn.Module, Inputs], ExportedProgram]] = {
    "torch.export": _by_export,
    "torch.export, strict": partial(_by_export, strict=True),
}


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    """The program in core operations, those of `_WHOLE` as they are; the same as `run_decompositions`, but faster.

    Torch overrides the rules of all its 500 composite operations for every call, which takes longer than the rest of a
    trace. All but those of `_WHOLE` get the rule that they have anyway, so that overriding these is enough.
    """
    quick = _quick_decomposition()
    return program.run_decompositions(_decompositions()) if quick is None else quick(program)


@functools.cache
def _quick_decomposition() -> Callable[[ExportedProgram], ExportedProgram] | None:
    """The decomposition behind `run_decompositions`; None where this version of torch has another one."""
    decompose = getattr(exported_program, "_decompose_exported_program", None)
    split = getattr(exported_program, "_split_decomp_table_to_cia_and_python_decomp", None)
    options = {"joint_loss_index": None, "decompose_custom_triton_ops": False}
    if decompose is None or split is None:
        return None
    if set(inspect.signature(decompose).parameters) != {"ep", "cia_to_decomp", "python_decomp_table", *options}:
        return None
    table = dict(_decompositions().items())
    composite, others = split(dict(table))
    whole = {operator: rule for operator, rule in composite.items() if operator not in table}
    return partial(decompose, cia_to_decomp=whole, python_decomp_table=others, **options)


def _decompositions() -> dict[Any, Any]:
    table = torch.export.default_decompositions()
    for name in _WHOLE:
        packet = getattr(torch.ops.aten, name)
        for overload in packet.overloads():
            if (kept := getattr(packet, overload)) in table:
                del table[kept]
    return table
