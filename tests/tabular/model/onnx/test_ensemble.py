from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.testing import assert_allclose

import thinnet as tn
from thinnet.compaction.export import Port
from thinnet.tabular._networks_as_arrays import frozen
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.model.onnx._ensemble import mixed
from thinnet.tabular.model.onnx._graph import Graph


def run(path: Path, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh"])
def test_every_activation(tmp_path: Path, activation: Any) -> None:
    stack = tn.Stack(
        [tn.Member(seed=k) for k in range(3)], in_features=4, hidden=[5, 6], out_features=3, activation=activation
    ).eval()
    ensemble = Ensemble(frozen(stack), np.array([0.2, 0.3, 0.5]), np.array([0.5, 1.0, 2.0]), 0.8)
    x = torch.randn(7, 4)
    graph = Graph([Port("x", "float", (None, 4))])
    mean, variance = mixed(graph, ensemble, "x", 4)
    outputs = [(mean, Port("mean", "double", (None, 3))), (variance, Port("variance", "double", (None, 3)))]
    (tmp_path / "m.onnx").write_bytes(graph.model(outputs, {}, "0"))
    for found, expected in zip(run(tmp_path / "m.onnx", {"x": x.numpy()}), ensemble.outputs(x.numpy()), strict=True):
        assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
