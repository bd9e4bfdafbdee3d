import numpy as np
import torch

from thinnet.stack import Member, Stack
from thinnet.tabular._networks_as_arrays import frozen

FEW, OTHERS = (True, False, True, False, True), (False, True, True, True, False)


def stack() -> Stack:
    seen = [FEW, FEW, None, OTHERS, FEW]
    members = [Member(seed=k, inputs=inputs) for k, inputs in enumerate(seen)]
    return Stack(members, in_features=5, hidden=[4, 3], out_features=2, activation="silu").eval()


def test_members_in_a_row_with_the_same_inputs_are_one_block() -> None:
    blocks = frozen(stack())
    assert [len(block) for block in blocks] == [2, 1, 1, 1]
    assert [block.seen.tolist() for block in blocks] == [[0, 2, 4], [0, 1, 2, 3, 4], [1, 2, 3], [0, 2, 4]]
    assert [block.sizes for block in blocks] == [(3, 4, 3, 2), (5, 4, 3, 2), (3, 4, 3, 2), (3, 4, 3, 2)]


def test_every_member_predicts_as_it_did() -> None:
    trained, x = stack(), torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    outputs = np.concatenate([block.outputs(x.numpy()) for block in frozen(trained)])
    expected = [trained.member(k)(x).detach().numpy() for k in range(5)]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_the_stack_can_change_afterwards() -> None:
    trained = stack()
    blocks = frozen(trained)
    before = [array.copy() for block in blocks for array in block.arrays]
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.zero_()
    for array, was in zip((a for block in blocks for a in block.arrays), before, strict=True):
        np.testing.assert_array_equal(array, was)
