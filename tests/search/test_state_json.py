import json

import pytest
import torch

from thinnet.search._state_json import finite, flatten, unflatten


def test_state_comes_back_as_it_was() -> None:
    state = {
        "state": {0: {"step": torch.tensor(3.0), "buffer": torch.arange(4)}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "name": None, "fused": True, "params": [0]}],
    }
    tensors: dict[str, torch.Tensor] = {}
    plain = json.loads(json.dumps(flatten(state, "optimizer", tensors)))
    again = unflatten(plain, tensors)
    assert again["param_groups"] == state["param_groups"]
    assert list(again["state"]) == [0]
    assert torch.equal(again["state"][0]["buffer"], torch.arange(4))


def test_what_no_file_can_hold_is_refused_by_name() -> None:
    with pytest.raises(
        TypeError, match=r"a checkpoint cannot hold optimizer\.x, which is object; leave `checkpoint_dir` out"
    ):
        flatten({"x": object()}, "optimizer", {})


def test_infinity_is_noticed() -> None:
    assert finite({"a": torch.ones(2), "b": torch.arange(3)})
    assert not finite({"a": torch.tensor([1.0, float("nan")])})
