import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import thinnet as tn

RULES = [
    None,
    tn.L2(3e-2),
    tn.L1(2e-3),
    tn.ElasticNet(1e-2, 1e-2),
    tn.GroupLasso(1e-2),
    tn.GroupLasso(1e-2, by="inputs"),
    tn.WeightDecay(0.3),
    tn.MaxNorm(0.5),
    tn.L2(1e-2) + tn.L1(1e-3) + tn.GroupLasso(5e-3) + tn.MaxNorm(0.7),
]
DROPOUT = [0.0, 0.25, 0.5]


def members() -> list[tn.Member]:
    return [
        tn.Member(
            seed=k,
            lr=1e-2 * (1 + k / 9),
            rule=rule,
            dropout=DROPOUT[k % 3],
            input_dropout=0.2 if k == 4 else 0.0,
            label_smoothing=0.1 * (k % 2),
            inputs=(True, False, True, True, False) if k == 2 else None,
        )
        for k, rule in enumerate(RULES)
    ]


def batches(count: int = 40) -> list[tuple[torch.Tensor, torch.Tensor]]:
    g = torch.Generator().manual_seed(0)
    return [
        (torch.randn(16, 5, generator=g, dtype=torch.float64), torch.randint(3, (16,), generator=g))
        for _ in range(count)
    ]


def train(settings: list[tn.Member], activation: str = "silu") -> tn.Stack:
    stack = tn.Stack(settings, in_features=5, hidden=[8, 6], out_features=3, activation=activation, dtype=torch.float64)
    optimizer = tn.StackAdam(stack)
    smoothing = torch.tensor([m.label_smoothing for m in settings])
    for x, y in batches():
        optimizer.zero_grad()
        tn.stack_cross_entropy(stack(x), y, None, smoothing).sum().backward()
        optimizer.step()
    return stack


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh"])
def test_a_member_in_a_stack_equals_the_member_alone(activation: str) -> None:
    together = train(members(), activation)
    for k, member in enumerate(members()):
        alone = train([member], activation)
        for ours, theirs in zip(together.parameters(), alone.parameters(), strict=True):
            assert_close(ours[k], theirs[0], rtol=1e-9, atol=1e-9)


def test_members_differ_by_their_settings() -> None:
    stack = train(members())
    first = stack.weights[1]
    for k in range(1, len(stack)):
        assert float((first[k] - first[0]).abs().max().detach()) > 1e-3
    assert float((stack.weights[0][2] == 0).double().mean()) > float((stack.weights[0][1] == 0).double().mean())


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh"])
def test_gradients_equal_those_of_plain_modules(activation: str) -> None:
    settings = [tn.Member(seed=3), tn.Member(seed=4)]
    stack = tn.Stack(settings, in_features=5, hidden=[8, 6], out_features=3, activation=activation, dtype=torch.float64)
    (x, y) = batches(1)[0]
    x.requires_grad_()
    tn.stack_cross_entropy(stack(x), y).sum().backward()
    through_stack, x.grad = x.grad, None
    for k in range(2):
        plain = stack.member(k)
        nn.functional.cross_entropy(plain(x), y).backward()
        linears = [layer for layer in plain if isinstance(layer, nn.Linear)]
        for linear, w, b in zip(linears, stack.weights, stack.biases, strict=True):
            assert_close(w.grad[k], linear.weight.grad)
            assert_close(b.grad[k], linear.bias.grad)
    assert_close(x.grad, through_stack)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh"])
def test_dropout_gradients_are_those_of_the_masked_network(activation: str) -> None:
    member = tn.Member(seed=1, dropout=0.5)
    stack = tn.Stack([member], in_features=5, hidden=[32], out_features=2, activation=activation, dtype=torch.float64)
    x = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss() -> torch.Tensor:
        stack.draws.zero_()  # the same masks at every call
        return stack(x).square().sum()

    loss().backward()
    w = stack.weights[0]
    direction = torch.randn(w.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        step = 1e-6
        w.add_(direction, alpha=step)
        up = loss()
        w.sub_(direction, alpha=2 * step)
        down = loss()
    assert_close((up - down) / (2 * step), (w.grad * direction).sum(), rtol=1e-6, atol=1e-6)


def test_shared_and_own_minibatches_agree() -> None:
    stack = tn.Stack(members(), in_features=5, hidden=[8], out_features=3, dtype=torch.float64).eval()
    x = batches(1)[0][0]
    assert_close(stack(x), stack(x.expand(len(stack), -1, -1)))
    assert_close(stack(x, slice(2, 4)), stack(x)[2:4])


def test_member_is_the_plain_network() -> None:
    stack = tn.Stack(members(), in_features=5, hidden=[8, 6], out_features=3, dtype=torch.float64).eval()
    x = batches(1)[0][0]
    for k in range(len(stack)):
        plain = stack.member(k)
        assert_close(plain(x), stack(x)[k])
        assert [layer.p for layer in plain if isinstance(layer, nn.Dropout)][-1:] == [stack.members[k].dropout] * (
            stack.members[k].dropout > 0
        )


def test_keep_goes_on_as_if_the_others_had_never_been() -> None:
    def second_half(stack: tn.Stack, optimizer: tn.StackAdam) -> None:
        for x, y in batches()[20:]:
            optimizer.zero_grad()
            tn.stack_cross_entropy(stack(x), y).sum().backward()
            optimizer.step()

    whole = tn.Stack(members(), in_features=5, hidden=[8], out_features=3, dtype=torch.float64)
    optimizer = tn.StackAdam(whole)
    for x, y in batches()[:20]:
        optimizer.zero_grad()
        tn.stack_cross_entropy(whole(x), y).sum().backward()
        optimizer.step()
    part = copy.deepcopy(whole)
    kept = tn.StackAdam(part)
    kept.state = {
        p: {k: v if k == "step" else v.clone() for k, v in optimizer.state[q].items()}
        for p, q in zip(part.parameters(), whole.parameters(), strict=True)
    }
    kept.keep([5, 2])
    second_half(whole, optimizer)
    second_half(part, kept)
    for ours, theirs in zip(part.parameters(), whole.parameters(), strict=True):
        assert_close(ours, theirs[[5, 2]], rtol=1e-12, atol=1e-12)


def test_unseen_inputs_keep_zero_weights() -> None:
    stack = train(members())
    assert (stack.weights[0][2][:, [1, 4]] == 0).all()
    assert (stack.weights[0][2][:, [0, 2, 3]] != 0).any()


def test_rows_of_weight_zero_do_not_teach() -> None:
    x, y = batches(1)[0]
    stack = tn.Stack([tn.Member(seed=0)] * 2, in_features=5, hidden=[8], out_features=3, dtype=torch.float64)
    rows = torch.ones(2, 16, dtype=torch.float64)
    rows[1, 8:] = 0
    tn.stack_cross_entropy(stack(x), y, rows).sum().backward()
    plain = stack.member(1)
    nn.functional.cross_entropy(plain(x[:8]), y[:8]).backward()
    assert_close(stack.weights[0].grad[1], plain[0].weight.grad)
    assert float((stack.weights[0].grad[0] - stack.weights[0].grad[1]).abs().max()) > 1e-3


def test_state_dict_round_trip_continues_the_masks() -> None:
    stack = train(members())
    other = tn.Stack(members(), in_features=5, hidden=[8, 6], out_features=3, activation="silu", dtype=torch.float64)
    other.load_state_dict(stack.state_dict())
    x = batches(1)[0][0]
    assert_close(other(x), stack(x))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="`members` is empty"):
        tn.Stack([], in_features=1, hidden=[], out_features=1)
    with pytest.raises(ValueError, match="`activation` must be one of"):
        tn.Stack([tn.Member()], in_features=1, hidden=[], out_features=1, activation="step")
    with pytest.raises(ValueError, match="at least one unit"):
        tn.Stack([tn.Member()], in_features=1, hidden=[0], out_features=1)
    with pytest.raises(ValueError, match="member 0 says of 2 inputs"):
        tn.Stack([tn.Member(inputs=(True, False))], in_features=1, hidden=[], out_features=1)
    stack = tn.Stack([tn.Member()], in_features=3, hidden=[], out_features=1)
    with pytest.raises(ValueError, match=r"x must be \(rows, 3\)"):
        stack(torch.ones(2, 4))
    with pytest.raises(ValueError, match="`keep` needs indices of members, 0 to 0"):
        stack.keep([1])
