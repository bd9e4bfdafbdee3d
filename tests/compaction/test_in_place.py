import copy

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.errors import NoEffectWarning

from .networks._partly_dead import data, network, silence

OPTIMIZERS = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda ps: torch.optim.Adam(ps, lr=0.01, amsgrad=True),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.01),
    "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, lr=0.05),
}


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> Tensor:
    x, y = data(seed)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_as_if_nothing_had_been_there(name: str) -> None:
    """Zeros between zeros have no gradient, so the whole network takes the same steps."""
    model = network()
    silence(model)
    optimizer = OPTIMIZERS[name](model.parameters())
    for seed in range(4):
        loss = step(model, optimizer, seed)
    whole, steps = copy.deepcopy(model), OPTIMIZERS[name]
    other = steps(whole.parameters())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    parameters = list(model.parameters())
    report = tn.compact_(model, data(0)[0], optimizer=optimizer)
    assert report.removed["0.weight"] == {0: 2}
    assert report.removed["5.weight"] == {1: 1}
    assert model[0].out_features == 10 and model[1].num_features == 10
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert model.training and loss.grad_fn is not None  # a loss of before is still around
    for seed in range(4, 8):
        torch.testing.assert_close(step(model, optimizer, seed), step(whole, other, seed), rtol=1e-9, atol=1e-12)


def test_each_module_keeps_its_mode() -> None:
    model = network()
    silence(model)
    model[1].eval()
    tn.compact_(model, data(0)[0])
    assert [m.training for m in model] == [True, False, True, True, True, True]


def test_gradients_shrink_too() -> None:
    model = network()
    silence(model)
    x, y = data(0)
    nn.functional.cross_entropy(model(x), y).backward()
    before = model[3].weight.grad.clone()
    tn.compact_(model, x)
    kept = [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]
    torch.testing.assert_close(model[3].weight.grad, before[1:][:, kept])


def test_nothing_changes_where_equality_fails() -> None:
    class Random(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network()

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x) + torch.rand(1, dtype=x.dtype)

    model = Random()
    silence(model.layers)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(tn.NotCompactableError, match="returns something else each time"):
        tn.compact_(model, data(0)[0])
    assert model.training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.slow
def test_groups_are_renumbered_and_go_on_to_act() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = data(0)[0]
    attachment = tn.attach(model, tn.Plan(tn.groups(model, x, strength=0.03)), optimizer)
    callback = tn.CompactCallback(model, x, optimizer=optimizer, attachment=attachment, at_least=0.0)
    sizes = []
    for epoch in range(60):
        for seed in range(4):
            step(model, optimizer, seed)
        callback.on_epoch_end(epoch=epoch)
        sizes.append(model[0].out_features + model[3].out_features)
    assert sizes[-1] < 21
    assert len(callback.reports) == len({*sizes, 21}) - 1
    rule = next(rule for binding in attachment.bindings for rule in binding.rules)
    assert len(rule.members["3.weight"][1]) == model[3].in_features
    value = sum(
        float(w.numel() // w.shape[1]) ** 0.5 * w.detach().norm(dim=0).sum() for w in (model[3].weight, model[5].weight)
    )
    assert attachment.terms()["CoupledGroupLasso"] == pytest.approx(0.03 * value.item(), rel=1e-6)


def test_rebound_masks_do_not_warn() -> None:
    """DropConnect beside the groups: its masks have the new shape."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = data(0)[0]
    plan = tn.Plan({"3.weight": tn.DropConnect(0.5), "*": tn.groups(model, x, strength=1e-3)})
    attachment = tn.attach(model, plan, optimizer)
    silence(model)
    tn.compact_(model, x, optimizer=optimizer, attachment=attachment)
    step(model, optimizer, 0)
    assert model[3].weight.shape == (8, 10)


def test_code_that_only_training_meets_holds_what_it_reads() -> None:
    class Helped(nn.Module):
        """A second head in training alone."""

        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head, self.side = nn.Linear(4, 16), nn.Linear(16, 3), nn.Linear(16, 2)
            self.inner = nn.Linear(3, 8)
            self.last = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            hidden = torch.relu(self.trunk(x))
            out = self.last(torch.relu(self.inner(self.head(hidden))))
            return (out, self.side(hidden)) if self.training else out

    model = Helped()
    with torch.no_grad():
        model.head.weight[:, :4] = 0
        model.last.weight[:, :2] = 0
    tn.compact_(model, torch.randn(5, 4))
    assert model.training
    assert model.trunk.out_features == 16
    assert [out.shape for out in model(torch.randn(2, 4))] == [(2, 3), (2, 2)]


def test_an_attachment_brings_its_optimizer() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    attachment = tn.attach(model, tn.Plan({"5.weight": tn.L2(1e-3)}), optimizer)
    silence(model)
    step(model, optimizer, 0)
    silence(model)
    tn.compact_(model, data(0)[0], attachment=attachment)
    step(model, optimizer, 1)


def test_what_belongs_to_another_model_is_refused() -> None:
    model, other = network(), network()
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    attachment = tn.attach(other, tn.Plan({"5.weight": tn.L2(1e-3)}), optimizer)
    x = data(0)[0]
    with pytest.raises(ValueError, match="compact_: `optimizer` steps no parameter of this model"):
        tn.compact_(model, x, optimizer=optimizer)
    with pytest.raises(ValueError, match="CompactCallback: `attachment` governs no parameter of this model"):
        tn.CompactCallback(model, x, attachment=attachment)
    with pytest.raises(ValueError, match="LBFGS keeps directions of all weights in one vector"):
        tn.compact_(model, x, optimizer=torch.optim.LBFGS(model.parameters()))
    with pytest.raises(TypeError, match=r"`optimizer` must be a torch\.optim\.Optimizer, got str"):
        tn.compact_(model, x, optimizer="adam")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`at_least` must be a number"):
        tn.CompactCallback(model, x, at_least="5%")  # type: ignore[arg-type]


def test_a_plan_does_not_follow_to_a_copy_and_says_so() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tn.attach(model, tn.Plan({"5.weight": tn.L2(1e-3)}), optimizer)
    silence(model)
    with pytest.warns(NoEffectWarning, match="stays with the model of before"):
        tn.compact(model.eval(), data(0)[0], optimizer=optimizer)


def test_a_compiled_model_shrinks_inside() -> None:
    model = network().eval()
    silence(model)
    compiled = torch.compile(model, backend="eager")
    report = tn.compact_(compiled, data(0)[0])
    assert "0.weight" in report.removed
    assert model[0].out_features == 10
