from types import SimpleNamespace

import pytest
import torch

from thinnet.search._choice import leaves


def along(*masks: list[int]) -> list[SimpleNamespace]:
    """Points of strengths 1, 2, ... at which these groups are alive."""
    return [
        SimpleNamespace(strength=float(i), alive={"w": torch.tensor(mask, dtype=torch.bool)}, diverged=False)
        for i, mask in enumerate(masks, 1)
    ]


@pytest.mark.parametrize("turn", [list, lambda points: points[::-1]], ids=["up", "down"])
def test_a_group_that_comes_back_has_not_left_before(turn) -> None:
    points = along([1, 0, 1, 0, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 0, 0, 0])
    assert leaves(turn(points), "w").tolist() == [float("inf"), 3.0, 4.0, 1.0, 2.0]
