import torch
from torch.nn import functional as F
from torch.testing import assert_close

import thinnet as tn


def test_cross_entropy_equals_torch_member_by_member() -> None:
    g = torch.Generator().manual_seed(0)
    logits, y = torch.randn(3, 10, 4, generator=g), torch.randint(4, (10,), generator=g)
    smoothing = torch.tensor([0.0, 0.1, 0.3])
    rows = torch.rand(3, 10, generator=g)
    ours = tn.stack_cross_entropy(logits, y, rows, smoothing)
    for k in range(3):
        each = F.cross_entropy(logits[k], y, reduction="none", label_smoothing=float(smoothing[k]))
        assert_close(ours[k], (each * rows[k]).sum() / rows[k].sum())


def test_squared_error_equals_torch_member_by_member() -> None:
    g = torch.Generator().manual_seed(0)
    outputs, y = torch.randn(3, 10, 2, generator=g), torch.randn(10, 2, generator=g)
    ours = tn.stack_squared_error(outputs, y)
    for k in range(3):
        assert_close(ours[k], F.mse_loss(outputs[k], y))


def test_a_member_without_rows_has_loss_and_gradient_zero() -> None:
    outputs = torch.randn(2, 3, 1, requires_grad=True)
    loss = tn.stack_squared_error(outputs, torch.ones(3), torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
    loss.sum().backward()
    assert float(loss[0].detach()) == 0.0
    assert (outputs.grad[0] == 0).all()
    assert (outputs.grad[1] != 0).all()
