"""DropConnect in a plan: what a training loop can see of it."""

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

import thinnet as tn
from thinnet.dropout import weight_masks
from thinnet.errors import NoEffectWarning


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3))


def attached(
    model: nn.Module, rules: tn.Rule | dict[str, tn.Rule], *, lr: float = 0.1, **how: object
) -> tuple[optim.Optimizer, tn.Attachment]:
    optimizer = optim.SGD(model.parameters(), lr=lr)
    return optimizer, tn.attach(model, tn.Plan(rules), optimizer, **how)


def train(model: nn.Module, optimizer: optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


def test_only_the_connections_that_stayed_are_trained() -> None:
    model = network()
    optimizer, _ = attached(model, {"0.weight": tn.DropConnect(0.5)})
    before = [p.detach().clone() for p in model.parameters()]
    train(model, optimizer, range(1))
    moved = [(p != old) for p, old in zip(model.parameters(), before, strict=True)]
    share = float(moved[0].double().mean())
    assert abs(share - 0.5) < 5 * (0.25 / 120) ** 0.5
    assert all(bool(others.all()) for others in moved[1:])


def test_the_loss_of_a_linear_model_is_on_average_that_of_dropconnects_ridge() -> None:
    # E‖y − W'x‖² = ‖y − Wx‖² + p/(1 − p) · Σ w_ij² x_j², from Var(M/(1 − p)) = p/(1 − p)
    p, n = 0.25, 4000
    torch.manual_seed(0)
    model = nn.Linear(5, 2, bias=False).double()
    x, y = torch.randn(5, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    attached(model, tn.DropConnect(p))
    losses = torch.stack([(y - model(x)).square().sum() for _ in range(n)]).detach()
    w = model.weight.detach()
    expected = (y - w @ x).square().sum() + p / (1 - p) * (w.square() @ x.square()).sum()
    assert abs(float(losses.mean() - expected)) < 5 * float(losses.std()) / n**0.5


def test_eval_mode_and_detach_leave_the_dense_network() -> None:
    model = network()
    x = torch.randn(4, 6)
    dense = model(x)
    _, attachment = attached(model, tn.DropConnect(0.5))
    assert not torch.equal(model(x), dense)
    assert torch.equal(model.eval()(x), dense)
    assert model.state_dict().keys() == network().state_dict().keys()
    model.train()
    attachment.detach()
    assert torch.equal(model(x), dense) and weight_masks(model) == {}
    attachment.detach()


def test_rules_beside_it_act_on_the_weight_itself() -> None:
    model = network()
    rules = {"0.weight": tn.DropConnect(0.3) + tn.MaxNorm(0.5) + tn.L1(0.01), "2.weight": tn.DropConnect(0.3)}
    optimizer, attachment = attached(model, rules)
    train(model, optimizer, range(10))
    first, last = model[0].weight.detach(), model[2].weight.detach()
    assert float(first.norm(dim=1).max()) <= 0.5 < float(last.norm(dim=1).max())
    assert attachment.terms() == {"L1": pytest.approx(0.01 * float(first.abs().sum()))}
    assert "DropConnect(p=0.3, seed=None) + MaxNorm(limit=0.5)" in str(attachment.summary())


def test_a_penalty_in_the_loss_is_of_the_weight_itself() -> None:
    model = network()
    _, attachment = attached(model, tn.DropConnect(0.5) + tn.L2(2.0), mode="cost")
    model(torch.ones(1, 6))
    total = sum(float(layer.weight.detach().square().sum()) for layer in (model[0], model[2]))
    assert attachment.cost().item() == pytest.approx(total)


def test_no_strength_is_in_the_rate() -> None:
    model = network()
    plan = tn.Plan(tn.DropConnect(0.5), examples=100) * 3
    attachment = tn.attach(model, plan, optim.SGD(model.parameters(), lr=0.1))
    attachment.scale = 0.1
    assert {mask.p for mask in weight_masks(model).values()} == {0.5}


def test_a_seeded_run_goes_on_from_its_state_as_if_never_interrupted() -> None:
    def start() -> tuple[nn.Module, optim.Optimizer, tn.Attachment]:
        model = network()
        return model, *attached(model, tn.DropConnect(0.5, seed=1))

    model, optimizer, attachment = start()
    train(model, optimizer, range(3))
    saved = copy.deepcopy((model.state_dict(), attachment.state_dict()))
    assert saved[1]["masks"] == {"0.weight": 3, "2.weight": 3}
    train(model, optimizer, range(3, 6))
    again, its_optimizer, its_attachment = start()
    again.load_state_dict(saved[0])
    its_attachment.load_state_dict(saved[1])
    train(again, its_optimizer, range(3, 6))
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"9\.weight: not governed by this plan"):
        its_attachment.load_state_dict({"scale": 1.0, "gains": {}, "masks": {"9.weight": 3}})


def test_a_copy_attached_anew_has_one_mask_a_weight() -> None:
    model = network()
    attached(model, tn.DropConnect(0.5))
    twin = copy.deepcopy(model)
    _, attachment = attached(twin, tn.DropConnect(0.25))
    assert [mask.p for mask in weight_masks(twin).values()] == [0.25, 0.25]
    assert [mask.p for mask in weight_masks(model).values()] == [0.5, 0.5]
    attachment.detach()
    assert weight_masks(twin) == {} and len(weight_masks(model)) == 2


def test_what_a_discarded_run_left_is_replaced() -> None:
    model = network()
    _, first = attached(model, tn.DropConnect(0.5))
    _, second = attached(model, tn.DropConnect(0.25))
    assert len(model[0]._forward_pre_hooks) == 1
    first.detach()
    assert [mask.p for mask in weight_masks(model).values()] == [0.25, 0.25]
    second.detach()
    assert weight_masks(model) == {}


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Embedding(5, 5), nn.Linear(5, 5, bias=False)
        self.decode.weight = self.encode.weight
        self.again = self.decode

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def test_a_tied_weight_has_a_mask_for_each_layer_and_a_shared_layer_one() -> None:
    torch.manual_seed(0)
    model = Tied()
    attached(model, {"encode.weight": tn.DropConnect(0.5)})
    assert list(weight_masks(model)) == ["encode.weight", "decode.weight"]
    assert len(model.decode._forward_pre_hooks) == 1
    rows = torch.arange(5)
    assert not torch.equal(model.encode(rows) == 0, model.decode(torch.eye(5)).T == 0)


def test_every_weight_of_attention_and_recurrent_layers_can_be_under_it() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.lstm = nn.MultiheadAttention(6, 2), nn.LSTM(6, 20)

        def forward(self, x: Tensor) -> Tensor:
            x = x[:, None]
            y: Tensor = self.lstm(self.attention(x, x, x, need_weights=False)[0])[0]
            return y

    torch.manual_seed(0)
    model = Both()
    optimizer, _ = attached(model, tn.DropConnect(0.5))
    train(model, optimizer, range(1))
    for name in ("attention.in_proj_weight", "attention.out_proj.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0"):
        share = float((model.get_parameter(name).grad == 0).double().mean())
        assert abs(share - 0.5) < 5 * (0.25 / model.get_parameter(name).numel()) ** 0.5, name


class Reads(nn.Module):
    """A model that reads the weight of a layer that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.inner.weight)


@pytest.mark.parametrize("call", [lambda m, x: F.linear(x, m.inner.weight), lambda m, x: m.inner.forward(x)])
def test_a_layer_that_is_passed_by_is_named_once(call: Callable[[nn.Module, Tensor], Tensor]) -> None:
    class Passes(Reads):
        def forward(self, x: Tensor) -> Tensor:
            return call(self, x)

    model = Passes()
    optimizer, _ = attached(model, tn.DropConnect(0.5))
    with pytest.warns(NoEffectWarning, match=r"\[no-effect\] inner\.weight: a gradient came, but no call of the layer"):
        train(model, optimizer, range(1))
    train(model, optimizer, range(1, 3))


def test_a_layer_trained_in_eval_mode_or_at_no_rate_is_not_named() -> None:
    model = Reads()
    optimizer, _ = attached(model, tn.DropConnect(0.5))
    model.inner.eval()
    train(model, optimizer, range(2))
    model.inner.train()
    weight_masks(model)["inner.weight"].p = 0.0
    train(model, optimizer, range(2))
    weight_masks(model)["inner.weight"].p = 0.5
    with pytest.warns(NoEffectWarning, match=r"inner\.weight: a gradient came"):
        train(model, optimizer, range(1))


def test_a_model_compiled_before_is_masked_or_named() -> None:
    torch._dynamo.reset()
    model = network()
    compiled = torch.compile(model, backend="eager")
    compiled(torch.ones(1, 6))
    optimizer, _ = attached(compiled, tn.DropConnect(0.5))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        train(compiled, optimizer, range(1))
    dropped = bool((model[0].weight.grad == 0).any())
    assert dropped is not any("compiled before attach" in str(w.message) for w in found)


@pytest.mark.parametrize(
    ("make", "rules", "message"),
    [
        (
            lambda: nn.Sequential(weight_norm(nn.Linear(2, 2))),
            tn.DropConnect(0.5),
            r"0\.weight, which is parametrized by WeightNorm anew at each call; remove the reparametrization",
        ),
        (
            lambda: nn.Linear(2, 2, dtype=torch.complex64),
            tn.DropConnect(0.5),
            "weight, which is complex",
        ),
        (
            lambda: nn.ParameterList([torch.ones(2, 2)]),
            {"0": tn.DropConnect(0.5)},
            "on 0: ParameterList has no forward that reads it",
        ),
        (
            lambda: nn.Embedding(3, 2, max_norm=1.0),
            {"weight": tn.DropConnect(0.5)},
            "an embedding with sparse gradients or `max_norm`",
        ),
        (
            lambda: nn.EmbeddingBag(3, 2, sparse=True),
            {"weight": tn.DropConnect(0.5)},
            "an embedding with sparse gradients or `max_norm`",
        ),
        (
            lambda: nn.Linear(2, 2),
            tn.DropConnect(0.5) + tn.DropConnect(0.25),
            r"weight beside DropConnect\(p=0\.25, seed=None\): one weight has one mask",
        ),
    ],
)
def test_what_cannot_be_masked_is_refused_by_name(
    make: Callable[[], nn.Module], rules: tn.Rule | dict[str, tn.Rule], message: str
) -> None:
    model = make()
    with pytest.raises(ValueError, match=rf"attach: DropConnect\(p=0\.5, seed=None\) cannot act.*{message}"):
        attached(model, rules)
    assert weight_masks(model) == {}
