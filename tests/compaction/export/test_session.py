"""An ONNX file made by hand, run."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from thinnet.compaction.export import Session


def written(path: Path) -> Path:
    """y = a - b, and z that nothing enters."""
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows"]) for n in "aby"}
    node = helper.make_node("Sub", ["a", "b"], ["y"])
    graph = helper.make_graph([node], "difference", [values["b"], values["a"]], [values["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def test_arrays_by_name_and_tensors_by_place(tmp_path: Path) -> None:
    session = Session(written(tmp_path / "m.onnx"))
    assert session.inputs == ["b", "a"]
    one, other = np.array([3.0, 5.0], np.float32), np.array([1.0, 7.0], np.float32)
    assert [out.tolist() for out in session.run({"a": one, "b": other})] == [[2.0, -2.0]]
    unused = torch.zeros(9)
    a, b = torch.from_numpy(one).requires_grad_(), torch.from_numpy(other)
    (found,) = session.call(["unused", "a", "b"], [unused, a, b])
    torch.testing.assert_close(found, torch.tensor([2.0, -2.0]), rtol=0, atol=0)
