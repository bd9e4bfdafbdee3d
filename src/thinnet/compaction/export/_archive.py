"""Export of any model as a torch.export archive."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import fx, nn

from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.analyze._quiet import quiet
from thinnet.compaction.export._exported import Exported, written
from thinnet.compaction.export._ports import ports
from thinnet.compaction.export._program import attempts, program, readable, reason, trials, worst
from thinnet.compaction.prove._compare import run, tolerance
from thinnet.errors import NotExportableError


def export_archive(model: nn.Module, example_inputs: ExampleInputs, path: str | Path) -> Exported:
    r"""Write a model as a `torch.export` archive, which runs without the model's code.

    The file is read again before it takes its place, and called beside the model on the examples, on random inputs and,
    where the number of rows is free, on other numbers of rows: :math:`\max |y' - y| \le t \max |y|` for every output y,
    with t = 1e-5 in float32 and 1e-9 in float64. The example inputs are not in the file.

    `torch.export.load(path).module()` is the model again, with the same arguments and outputs. The file holds no
    pickle, but one of another source may, and `torch.export.load` then executes it: load archives that you trust only.

    Args:
        model: any module in eval mode that `torch.export` can trace.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.
        path: the file; one that stands there is replaced.

    Returns:
        What was written; it prints.

    Raises:
        NotExportableError: the model cannot be exported, or its file is not equal to it.
        ValueError: the model is in training mode, or the inputs are on another device or none at all.
        OSError: there is no such folder, or it cannot be written.

    Example:
        >>> import tempfile, torch
        >>> import thinnet as tn
        >>> model = torch.nn.Linear(2, 1, bias=False).eval()
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[3.0, 4.0]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = tn.export_archive(model, torch.randn(5, 2), f"{folder}/model.pt2")
        ...     again = torch.export.load(f"{folder}/model.pt2").module()
        >>> again(torch.ones(1, 2)).item()  # 3 + 4, for one row as for five
        7.0
    """
    what, place = "export_archive", Path(path).expanduser()
    inputs = readable(model, example_inputs, what)
    if place.suffix != ".pt2":
        raise ValueError(f"{what}: torch reads archives named .pt2 only, got {place}; name it so.")
    reasons: list[str] = []
    for example in attempts(model, inputs):
        try:
            return _write(model, inputs, example, place)
        except OSError:
            raise
        except Exception as error:
            reasons.append(reason(error))
    raise NotExportableError(
        f"{what}: {type(model).__name__} cannot be written as a torch.export archive ({reasons[-1]}); nothing was "
        "written. Control flow that depends on values has no graph: export the modules around it one by one."
    )


def _write(model: nn.Module, inputs: Inputs, example: Inputs | None, place: Path) -> Exported:
    """Write the file, read it again and compare; `example` has the rows to export by, None keeps their number."""
    exported = program(model, example or inputs, free=example is not None)
    # neither rows of a user's data nor paths of their machine have business in a file that goes elsewhere
    exported.example_inputs = None
    for module in exported.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    with written(place, "export_archive") as partial:
        with quiet():
            torch.export.save(exported, partial)
            again = torch.export.load(partial).module()
        tried = trials(model, inputs, free=example is not None)
        difference, limit = worst(tried, lambda given: run(again, given)), tolerance(model)
        if not difference <= limit:
            raise NotExportableError(f"its outputs differ by {difference:.1e} of the largest, above {limit:.0e}")
        size = partial.stat().st_size
    return Exported(place, "torch.export archive", size, *ports(model, tried), difference, len(tried))
