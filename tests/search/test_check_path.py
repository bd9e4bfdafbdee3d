import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Optimizer

import thinnet as tn

from .networks import linear, regression


def idle(model: nn.Module, optimizer: Optimizer) -> None:
    """No step."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan": tn.Plan(tn.MaxNorm(1.0))}, "nothing in .* has a strength to vary"),
        ({"plan": tn.Plan(tn.L1(0.0))}, "nothing in .* has a strength to vary"),
        ({"plan": tn.Plan(tn.L2(1.0))}, "takes no trainable weight of this model to zero.*give `strengths`"),
        ({"plan": lambda model, value: None}, "has no strength at which all is zero; give `strengths`"),
        ({"fit": idle}, r"`fit` never called optimizer\.step\(\)"),
        ({"fit": idle, "direction": "down"}, r"`fit` never called optimizer\.step\(\)"),
        ({"fit": None}, "`fit` is None; give it, or `polish`"),
        ({"strengths": [0.1, 0.3, 0.2]}, "must rise for direction='up', but 0.2 comes after 0.3.*direction=\"down\""),
        ({"strengths": [0.3, 0.3], "direction": "down"}, "must fall for direction='down', but 0.3 comes after 0.3"),
        ({"strengths": []}, "`strengths` is empty"),
        ({"strengths": [-1.0]}, "must be finite and >= 0, got -1.0"),
        ({"n_strengths": 0}, "`n_strengths` must be a whole number >= 1, got 0"),
        ({"average": -1}, "`average` must be a number of rounds from 0 to `rounds`, 4, got -1"),
        ({"average": 3, "rounds": 2}, "from 0 to `rounds`, 2, got 3: a longer one"),
        ({"average": math.nan}, "`average` must be a number of rounds .* got nan"),
        ({"average": True}, "`average` must be a number of rounds .* got True"),
        ({"patience": 0}, "`patience` must be a whole number >= 1, got 0"),
        ({"eps": 1.0}, "`eps` must be between 0 and 1, got 1.0"),
        ({"direction": "sideways"}, '`direction` must be "up" or "down"'),
        ({"compact": torch.ones(1, 8), "direction": "down"}, 'which direction="down" brings back'),
        ({"evaluate": lambda model: torch.ones(2, 2)}, r"or losses of shape \(n,\), got shape \(2, 2\)"),
    ],
)
def test_bad_input_is_refused_by_name(change: dict[str, object], message: str) -> None:
    problem = regression()
    given: dict[str, object] = {"plan": tn.Plan(tn.L1(1.0)), "fit": problem.fit, "evaluate": problem.losses, **change}
    plan, fit, evaluate = given.pop("plan"), given.pop("fit"), given.pop("evaluate")
    with pytest.raises(ValueError, match=message):
        tn.path(linear, plan, fit, evaluate, first_rounds=2, **given)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    problem = regression()
    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, strengths=np.array([0.1, 0.2]),
        rounds=np.int64(2), first_rounds=np.int64(3), average=np.float32(0.5), refit=np.int32(1),
        checkpoint_dir=tmp_path,
    )  # fmt: skip
    assert len(path.points) == 2
