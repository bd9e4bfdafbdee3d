import pytest
import torch

from thinnet import Member, Stack
from thinnet.stack import predict

X = torch.randn(9000, 6, generator=torch.Generator().manual_seed(0))


def make_stack() -> Stack:
    inputs = (True, True, False, True, False, True)
    members = [Member(seed=k, dropout=0.3 * (k % 2), inputs=inputs if k == 4 else None) for k in range(6)]
    return Stack(members, in_features=6, hidden=[8], out_features=3).eval()


def test_many_rows_are_predicted_in_parts() -> None:
    stack = make_stack()
    with torch.no_grad():
        expected = torch.stack([stack.member(k)(X) for k in range(3, 6)])
    torch.testing.assert_close(predict(stack, X, slice(3, 6)), expected)


@pytest.mark.parametrize("rows", [1, 4096, 4097])
def test_no_forward_pass_has_more_rows_than_fit(rows: int) -> None:
    stack, seen = make_stack(), []
    stack.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    assert predict(stack, X[:rows]).shape == (6, rows, 3)
    assert sum(seen) == rows
    assert max(seen) <= 4096


def test_no_gradient_is_kept_and_the_mode_is_that_of_the_stack() -> None:
    stack = make_stack()
    assert not predict(stack, X[:5]).requires_grad
    assert not stack.training
    stack.train()
    assert not torch.equal(predict(stack, X), predict(stack, X))  # dropout
    assert stack.training
