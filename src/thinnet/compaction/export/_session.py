"""Inference on an ONNX file by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thinnet.compaction.export._exported import required


class Session:
    """An ONNX file loaded by onnxruntime.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        (runtime,) = required("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session: Any = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs: list[str] = [value.name for value in self._session.get_inputs()]

    def run(self, given: Mapping[str, Any]) -> list[Any]:
        """The outputs, arrays, for these inputs, arrays by name."""
        outputs: list[Any] = self._session.run(None, dict(given))
        return outputs

    def call(self, names: Sequence[str], tensors: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for tensors; the file may have found some inputs to be of no use."""
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in zip(names, tensors, strict=True)}
        return [torch.from_numpy(array) for array in self.run({name: arrays[name] for name in self.inputs})]
