"""State of an optimizer, sliced as its parameters."""

import pytest
import torch
from torch import nn

from thinnet.compaction.shrink._optimizer import check_optimizer, point_at, shrink_state_, shrunk_state


def test_state_of_the_parameters_shape_is_sliced_and_the_rest_is_kept() -> None:
    step, moment = torch.tensor(3.0), torch.arange(12.0).reshape(3, 4)
    rows, flag = torch.arange(3.0)[:, None], "text"
    state = {"step": step, "moment": moment, "rows": rows, "flag": flag, "vector": torch.ones(3)}
    found = shrunk_state(state, (3, 4), {0: torch.tensor([0, 2]), 1: torch.tensor([1])})
    assert found["step"] is step
    assert found["flag"] is flag
    assert found["moment"].tolist() == [[1.0], [9.0]]
    assert found["rows"].tolist() == [[0.0], [2.0]]  # a factored moment has the length of one dimension only
    assert found["vector"].shape == (3,)


def stepped() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_an_optimizer_is_pointed_at_the_smaller_model() -> None:
    model, optimizer = stepped()
    moment = optimizer.state[model.weight]["momentum_buffer"]
    small = nn.Linear(2, 2)
    point_at(optimizer, model, small, {"weight": {1: torch.tensor([0, 2])}})
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(small.weight), id(small.bias)]
    torch.testing.assert_close(optimizer.state[small.weight]["momentum_buffer"], moment[:, [0, 2]], rtol=0, atol=0)
    assert model.weight not in optimizer.state


def test_state_shrinks_in_place() -> None:
    model, optimizer = stepped()
    moment = optimizer.state[model.weight]["momentum_buffer"]
    shrink_state_(optimizer, model, {"weight": {0: torch.tensor([1])}}, {"weight": (2, 3), "bias": (2,)})
    torch.testing.assert_close(optimizer.state[model.weight]["momentum_buffer"], moment[1:], rtol=0, atol=0)
    assert optimizer.state[model.bias]["momentum_buffer"].shape == (2,)


def test_what_cannot_shrink_is_refused() -> None:
    model = nn.Linear(2, 2)
    check_optimizer(None, model, "f")
    check_optimizer(torch.optim.SGD(model.parameters(), 0.1), model, "f")
    with pytest.raises(TypeError, match=r"f: `optimizer` must be a torch.optim.Optimizer, got str"):
        check_optimizer("adam", model, "f")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="f: `optimizer` steps no parameter of this model"):
        check_optimizer(torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1), model, "f")
    with pytest.raises(ValueError, match="f: LBFGS keeps directions of all weights in one vector"):
        check_optimizer(torch.optim.LBFGS(model.parameters()), model, "f")
