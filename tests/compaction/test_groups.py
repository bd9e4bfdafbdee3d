import pytest
import torch
from torch import Tensor, nn

import thinnet as tn


class Residual(nn.Module):
    """One stream of 6 channels, written twice and read three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.late, self.head = nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1), nn.Linear(4 * 4, 5)
        self.side = nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + torch.relu(self.norm(self.block(x)))
        return self.head((self.late(x) + self.side(x)).flatten(1))


def test_a_stream_is_grouped_by_all_that_reads_it() -> None:
    rule = tn.groups(Residual(), torch.randn(2, 3, 2, 2), strength=0.5)
    assert rule.strength == 0.5
    members = {name: (dim, list(numbers)) for name, (dim, numbers) in rule.members.items()}
    stream = members["block.weight"]
    assert stream[0] == 1 and len(set(stream[1])) == 6
    assert members["late.weight"] == members["side.weight"] == stream
    dim, numbers = members["head.weight"]
    assert dim == 1
    assert torch.tensor(numbers).reshape(4, 4).unique(dim=1).shape == (4, 1)  # the four pixels of a channel
    assert set(members) == {"block.weight", "late.weight", "side.weight", "head.weight"}


def test_the_model_keeps_its_mode_and_weights() -> None:
    model = Residual().train()
    before = [p.clone() for p in model.parameters()]
    tn.groups(model, torch.randn(2, 3, 2, 2))
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_training_ends_in_a_model_that_compacts(name: str) -> None:
    """Channels that hardly anybody reads at first are the ones that go."""
    torch.manual_seed(0)
    model, x = Residual(), torch.randn(64, 3, 2, 2)
    y = (x.mean((2, 3)) @ torch.randn(3, 5)).argmax(1)
    with torch.no_grad():
        for reader in (model.block, model.late, model.side):
            reader.weight[:, :2] *= 1e-4
    kind, lr = (torch.optim.SGD, 0.05) if name == "sgd" else (torch.optim.Adam, 1e-3)
    optimizer = kind(model.parameters(), lr=lr)
    attachment = tn.attach(model, tn.Plan(tn.groups(model, x, strength=0.3)), optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    dead = (model.late.weight.flatten(1).T == 0).reshape(6, -1).all(1)
    assert dead.tolist() == [True, True, False, False, False, False]
    small, report = tn.compact(model.eval(), x)
    assert small.stem.out_channels == 6 - int(dead.sum())
    assert report.removed["stem.weight"] == {0: int(dead.sum())}
    torch.testing.assert_close(small(x), model(x), rtol=1e-4, atol=1e-5)
    attachment.detach()


def test_heads_are_one_group_each() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
            return self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    rule = tn.groups(Attention(), torch.randn(2, 5, 8))
    assert dict(rule.members) == {"out.weight": (1, (0, 0, 0, 0, 1, 1, 1, 1))}


def test_what_only_sums_read_is_grouped_by_what_writes_it() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.up(x)).sum(1)

    rule = tn.groups(Sum(), torch.randn(2, 3))
    assert dict(rule.members) == {"up.weight": (0, (0, 1, 2, 3)), "up.bias": (0, (0, 1, 2, 3))}


def test_a_model_without_structures_is_refused() -> None:
    with pytest.raises(tn.NotCompactableError, match="groups: Linear has no structure that could be removed"):
        tn.groups(nn.Linear(3, 2), torch.randn(2, 3))
