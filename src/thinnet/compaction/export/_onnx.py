"""Export of any model as an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree

from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.analyze._quiet import quiet
from thinnet.compaction.export._exported import Exported, Port, required, written
from thinnet.compaction.export._ports import ports
from thinnet.compaction.export._program import attempts, program, readable, reason, trials, worst
from thinnet.compaction.export._session import Session
from thinnet.compaction.prove._compare import outputs_of, run, tolerance
from thinnet.errors import NotExportableError

_LEAST = 1e-4
"""Two runtimes add up in different orders: this much is rounding in float32."""

_EXACT = 1e-9
"""As equal as float64 must be; coarser limits are at least `_LEAST`."""

_LARGEST = 2_000_000_000
"""Bytes that one ONNX file can hold."""


def export_onnx(model: nn.Module, example_inputs: ExampleInputs, path: str | Path) -> Exported:
    r"""Write a model as an ONNX file, which runs without torch.

    The file is run by onnxruntime before it takes its place, on the examples, on random inputs and, where the number of
    rows is free, on other numbers of rows: :math:`\max |y' - y| \le t \max |y|` for every output y, with t = 1e-4 in
    float32, 1e-9 in float64, and whole numbers equal. Inputs are called as the arguments are, outputs by their keys or
    "output". Arguments that are no tensors are fixed in the file at what they are here.

    Args:
        model: any module in eval mode that `torch.onnx` can convert. A first dimension that all inputs have in common
            may have any length in the file where the model allows it.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.
        path: the file; one that stands there is replaced.

    Returns:
        What was written; it prints.

    Raises:
        NotExportableError: the model cannot be converted, or its file is not equal to it.
        ValueError: the model is in training mode, or the inputs are on another device or none at all.
        OSError: there is no such folder, or it cannot be written.
        ModuleNotFoundError: the extra is not installed: `pip install "thinnet[onnx]"`.

    Example:
        >>> import tempfile, torch
        >>> import thinnet as tn
        >>> model = torch.nn.Linear(2, 1).eval()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = tn.export_onnx(model, torch.randn(5, 2), f"{folder}/model.onnx")
        >>> [(port.name, port.shape) for port in written.inputs + written.outputs]
        [('input', (None, 2)), ('output', (None, 1))]
        >>> written.difference < 1e-6
        True
    """
    what, place = "export_onnx", Path(path).expanduser()
    required("onnx", "onnxscript", "onnxruntime")
    inputs = readable(model, example_inputs, what)
    if any(t.dtype is torch.bfloat16 for t in (*inputs.tensors(), *run(model, inputs))):
        raise NotExportableError(
            f"{what}: onnxruntime has no bfloat16 on CPU; give the model in float32: model.float()."
        )
    reasons: list[str] = []
    for example in attempts(model, inputs):
        try:
            return _write(model, inputs, example, place)
        except OSError:
            raise
        except Exception as error:
            reasons.append(reason(error))
    raise NotExportableError(
        f"{what}: {type(model).__name__} cannot be written as ONNX ({reasons[-1]}); nothing was written. "
        "Control flow that depends on values has no graph; what has one and is no operation of ONNX, "
        "tn.export_archive may hold."
    )


class _Flat(nn.Module):
    """A model from tensors to tensors: arguments that are no tensors are fixed, outputs are in a row."""

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.model = model
        leaves, self.structure = pytree.tree_flatten((inputs.args, dict(inputs.kwargs)))
        self.leaves = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self.places = [isinstance(leaf, Tensor) for leaf in leaves]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The model's outputs."""
        given = iter(tensors)
        leaves = [next(given) if tensor else leaf for leaf, tensor in zip(self.leaves, self.places, strict=True)]
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        return tuple(outputs_of(self.model(*args, **kwargs)))


def _write(model: nn.Module, inputs: Inputs, example: Inputs | None, place: Path) -> Exported:
    """Write the file, run it and compare; `example` has the rows to export by, None keeps their number."""
    free = example is not None
    tried = trials(model, inputs, free=free)
    limit = tolerance(model)
    limit = limit if limit <= _EXACT else max(limit, _LEAST)
    taken, given = ports(model, tried)
    content = _convert(model, example or inputs, taken, given, free=free)
    with written(place, "export_onnx") as partial:
        partial.write_bytes(content)
        session = Session(partial)
        difference = worst(tried, lambda each: session.call([port.name for port in taken], each.tensors()))
        if not difference <= limit:
            raise NotExportableError(f"its outputs differ by {difference:.1e} of the largest, above {limit:.0e}")
    return Exported(place, "ONNX", len(content), taken, given, difference, len(tried))


def _convert(model: nn.Module, inputs: Inputs, taken: Sequence[Port], given: Sequence[Port], *, free: bool) -> bytes:
    """The file's content."""
    flat = _Flat(model, inputs).eval()
    # fused attention leaves its output in an order that the views after it do not fit, once it is taken apart
    with sdpa_kernel(SDPBackend.MATH), quiet():
        exported = program(flat, Inputs(tuple(inputs.tensors()), {}), free=free)
        converted: Any = torch.onnx.export(
            exported,
            dynamo=True,
            verbose=False,
            input_names=[port.name for port in taken],
            output_names=[port.name for port in given],
        )
        proto = converted.model_proto
    if proto.ByteSize() > _LARGEST:
        raise NotExportableError(f"{proto.ByteSize():,} bytes are more than one ONNX file can hold")
    _clean(proto.graph)
    content: bytes = proto.SerializeToString()
    return content


def _clean(graph: Any) -> None:
    """Call the free length "batch", and leave out what says where the model's code lies on its author's machine."""
    lengths = [value.type.tensor_type.shape.dim[0].dim_param for value in graph.input if _rank(value)]
    symbol = next((name for name in lengths if name), None)
    for value in (*graph.input, *graph.output, *graph.value_info):
        for length in value.type.tensor_type.shape.dim if _rank(value) else ():
            if symbol and length.dim_param == symbol:
                length.dim_param = "batch"
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]


def _rank(value: Any) -> int:
    return len(value.type.tensor_type.shape.dim)
