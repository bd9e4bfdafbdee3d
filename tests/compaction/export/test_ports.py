"""Names of inputs and outputs after arguments, keys and places."""

import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.export._exported import Port
from thinnet.compaction.export._ports import input_names, output_names, ports
from thinnet.compaction.export._program import Trial


class Model(nn.Module):
    def forward(self, x: Tensor, parts: object = None, *, scale: object = 1.0, **more: object) -> object:
        return {"x": x, "list": [x + 1, x.long()]}


def test_inputs_are_called_as_their_arguments() -> None:
    x = torch.ones(2)
    given = Inputs((x, {"a": x, "b": [x, 3, x]}), {"scale": 2.0, "other": x})
    assert input_names(Model(), given) == ["x", "parts_a", "parts_b_0", "parts_b_2", "other"]


def test_arguments_beyond_the_signature_are_numbered() -> None:
    assert input_names(nn.Identity(), Inputs((torch.ones(1), torch.ones(1)), {})) == ["input", "input_1"]


def test_outputs_are_called_by_key_or_place() -> None:
    x = torch.ones(2)
    named = Trial.of(Model(), Inputs((x,), {}))
    assert output_names(Model(), named, set()) == ["x", "list_0", "list_1"]
    assert output_names(Model(), named, {"x"}) == ["x_", "list_0", "list_1"]
    alone = Trial(Inputs((x,), {}), x, [x])
    assert output_names(Model(), alone, set()) == ["output"]
    assert output_names(Model(), Trial(Inputs((x,), {}), (x, x), [x, x]), {"output_1"}) == ["output_0", "output_1_"]


def test_a_length_that_changes_is_free() -> None:
    tried = [Trial.of(nn.Linear(3, 2), Inputs((torch.ones(n, 3),), {})) for n in (4, 5, 4)]
    inputs, outputs = ports(nn.Linear(3, 2), tried)
    assert inputs == (Port("input", "float32", (None, 3)),)
    assert outputs == (Port("output", "float32", (None, 2)),)
    (fixed,), _ = ports(nn.Linear(3, 2), tried[:1])
    assert fixed.shape == (4, 3)
