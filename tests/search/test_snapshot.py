import json

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.search._polyak_average import Average
from thinnet.search._snapshot import Snapshot, Stateful

from .networks import perceptron, regression


def training() -> tuple[dict[str, Stateful | None], nn.Module]:
    """A network under a plan, whose steps leave traces in weights, momenta, masks and an average."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    plan = tn.Plan({"0.weight": tn.L1(0.1) + tn.DropConnect(0.3, seed=0)})
    average = Average(1)
    attachment = tn.attach(model, plan, optimizer)
    optimizer.register_step_post_hook(lambda *_: average.add(list(model.parameters())))
    return {"model": model, "optimizer": optimizer, "attachment": attachment, "average": average}, model


def go_on(parts: dict[str, Stateful | None], model: nn.Module, steps: int) -> list[Tensor]:
    """All that the parts hold after more steps."""
    for _ in range(steps):
        regression().fit(model, parts["optimizer"])  # type: ignore[arg-type]
    moments = [value for state in parts["optimizer"].state_dict()["state"].values() for value in state.values()]
    return [t.clone() for t in (*model.state_dict().values(), *moments, *parts["average"].mean)]


def test_what_follows_a_restored_snapshot_is_what_followed_it_first() -> None:
    parts, model = training()
    go_on(parts, model, 3)
    snapshot = Snapshot.of(parts)
    expected = go_on(parts, model, 4)
    for _ in range(2):  # a snapshot is not used up
        snapshot.restore_(parts)
        for found, value in zip(go_on(parts, model, 4), expected, strict=True):
            assert torch.equal(found, value)


def test_its_tensors_are_copies_and_the_rest_is_json() -> None:
    parts, model = training()
    go_on(parts, model, 1)
    snapshot = Snapshot.of(parts)
    before = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
    go_on(parts, model, 2)
    assert all(torch.equal(snapshot.tensors[name], tensor) for name, tensor in before.items())
    assert set(json.loads(json.dumps(snapshot.plain))) == set(parts)


def test_only_the_named_parts_come_back() -> None:
    parts, model = training()
    snapshot = Snapshot.of(parts)
    start = model.state_dict()["0.weight"].clone()
    go_on(parts, model, 2)
    snapshot.restore_({"model": model})
    assert torch.equal(model.state_dict()["0.weight"], start)
    assert parts["optimizer"].state_dict()["state"][0]["step"] == 2


def test_a_part_that_is_missing_then_or_now_is_left_alone() -> None:
    parts, _ = training()
    start = {**parts, "attachment": None}
    Snapshot.of(start).restore_(parts)
    Snapshot.of(parts).restore_(start)
    parts["attachment"].scale = 5.0
    Snapshot.of(start).restore_(parts)
    assert parts["attachment"].scale == 5.0


def test_a_state_that_no_file_can_hold_is_refused_by_name() -> None:
    class Odd:
        def state_dict(self) -> dict[str, object]:
            return {"open": object()}

        def load_state_dict(self, state_dict: object, /) -> None:
            raise AssertionError

    with pytest.raises(TypeError, match=r"a checkpoint cannot hold odd\.open, which is object"):
        Snapshot.of({"odd": Odd()})
