"""Programs for any number of rows, and how they are compared with their model."""

import torch

from thinnet.compaction.export import _onnx
from thinnet.compaction.export._program import Trial, resized, worst


def test_whole_numbers_are_equal_or_not() -> None:
    trial = Trial(_onnx.Inputs((torch.zeros(1),), {}), None, [torch.tensor([30_000, 1])])
    assert worst([trial], lambda inputs: [torch.tensor([30_000, 1])]) == 0
    assert worst([trial], lambda inputs: [torch.tensor([30_001, 1])]) == torch.inf
    assert worst([trial], lambda inputs: [torch.tensor([30_000])]) == torch.inf


def test_rows_are_repeated_where_a_tensor_begins_with_them() -> None:
    inputs = _onnx.Inputs((torch.arange(2), torch.zeros(3), torch.tensor(5)), {})
    assert [t.tolist() for t in resized(inputs, 3).tensors()] == [[0, 1, 0], [0.0, 0.0, 0.0], 5]
