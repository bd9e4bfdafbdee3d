import torch
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn
from thinnet.thinning import Chain


class Gated(nn.Module):
    """The feed-forward block of a transformer with gates, behind a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.down(F.silu(self.gate(x)) * self.up(x))
        return self.head(self.norm(x))


def found(model: nn.Module) -> list[Chain]:
    return tn.thinnable(model).found


def reason(*layers: nn.Module) -> str:
    """Why the last layer of the last kind keeps its inputs."""
    chains = tn.thinnable(nn.Sequential(*layers))
    return list(chains.left.values())[-1]


def test_a_perceptron_of_any_depth() -> None:
    block = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.1))
    model = nn.Sequential(
        nn.Flatten(), block, nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.2), nn.ReLU()), nn.Linear(5, 2)
    )
    assert found(model) == [
        Chain((), "1.0"),
        Chain(("1.0",), "2.0", ("1.2",)),
        Chain(("2.0",), "3", ("2.1",)),
    ]
    assert all(module.training for module in model.modules())
    model[1].eval()
    tn.thinnable(model)
    assert model.training and not block.training and not block[2].training


def test_functions_methods_gates_and_residuals() -> None:
    chains = tn.thinnable(Gated())
    assert chains.found == [Chain(("gate", "up"), "down")]
    assert chains.left["head"].startswith("LayerNorm 'norm' before it normalizes over all nodes of a row")
    assert chains.left["gate"] == "Linear 'up' consumes the same nodes"

    class Methods(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.tanh(0.5 * self.a(x).relu() + 1))

    assert found(Methods()) == [Chain((), "a"), Chain(("a",), "b")]


def test_convolutions_through_pooling() -> None:
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2), nn.Conv2d(8, 4, 3), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64, 5)),
    )
    chains = tn.thinnable(model)
    assert chains.found == [Chain(("0",), "4", ("3",))]
    assert chains.left["0"] == "inputs of a convolution are channels of an image, not nodes"
    assert chains.left["7"] == "Conv2d '4' before it is of another kind"


def test_functions_that_pool_and_shapes_that_are_asked_for() -> None:
    class Tutorial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 4, 3)
            self.f1, self.f2 = nn.Linear(36, 16), nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.c2(F.max_pool2d(F.relu(self.c1(x)), 2))
            return self.f2(F.relu(self.f1(x.view(x.size(0), -1))))

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f1, self.f2 = nn.Linear(36, 16), nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.f2(F.relu(self.f1(x.view(x.size(0), x.shape[1] * 9))))

    assert found(Tutorial()) == [Chain(("c1",), "c2"), Chain(("f1",), "f2")]
    assert found(Flat()) == [Chain((), "f1"), Chain(("f1",), "f2")]


def test_convolutions_with_batch_normalization() -> None:
    layers = [nn.Conv1d(1, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout1d(), nn.Conv1d(8, 4, 3)]
    assert found(nn.Sequential(*layers)) == [Chain(("0",), "4", ("3",), ("1",))]


def test_transformer_layers() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert found(nn.TransformerEncoder(layer, 2)) == [
        Chain((f"layers.{i}.linear1",), f"layers.{i}.linear2", (f"layers.{i}.dropout",)) for i in range(2)
    ]
    assert found(layer) == [Chain(("linear1",), "linear2", ("dropout",))]
    odd = nn.TransformerDecoderLayer(8, 2, 16, activation=lambda x: x.softmax(-1))
    assert "is not known to be elementwise" in tn.thinnable(odd).left["linear2"]


def test_children_of_what_cannot_be_traced() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
            self.head = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x) if x.sum() > 0 else x)

    chains = tn.thinnable(Branches())
    assert chains.found == [Chain(("body.0",), "body.2")]
    branches = Branches()
    branches.body = nn.ModuleList([nn.Linear(3, 3)])  # type: ignore[assignment]
    assert list(tn.thinnable(branches).left) == ["body.0", "head"]
    assert chains.left["head"] == "torch.fx cannot read the forward of Branches around it"


def test_why_nodes_stay() -> None:
    a, b = nn.Linear(4, 4), nn.Linear(4, 2)
    assert reason(a, nn.BatchNorm1d(4), nn.ReLU(), b) == "batch normalization '1' before it is cut for channels only"
    averaging = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Conv2d(4, 2, 3)
    assert "averages over all batches (momentum=None)" in reason(*averaging)
    assert reason(a, nn.AvgPool1d(3, 1, 1), b) == "AvgPool1d '1' before it mixes neighbouring nodes"
    assert reason(*tn.thin_(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))) == "it is thin already"
    assert "SyncBatchNorm '1' before it does not keep nodes apart" in reason(a, nn.SyncBatchNorm(4), b)
    dropped = nn.Conv2d(1, 4, 3), nn.Dropout2d(), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)
    assert reason(*dropped) == "BatchNorm2d '2' comes behind its dropout, not before"
    assert "GroupNorm '1' before it normalizes over all nodes" in reason(a, nn.GroupNorm(2, 4), b)
    assert "Softmax '1' before it normalizes over all nodes" in reason(a, nn.Softmax(-1), b)
    assert "PReLU '1'" in reason(a, nn.PReLU(4), b)
    assert "AlphaDropout '2'" in reason(a, nn.SELU(), nn.AlphaDropout(), b)
    assert "Sigmoid '2' comes behind its dropout" in reason(a, nn.Dropout(), nn.Sigmoid(), b)
    assert "Flatten '1' arranges the nodes anew" in reason(a, nn.Flatten(), b)
    assert "'0' produces 8 nodes, it consumes 4" in reason(nn.Linear(4, 8), nn.ReLU(), b)
    assert "is a subclass or has groups" in reason(nn.Conv1d(4, 4, 1, groups=4), nn.Conv1d(4, 4, 1))
    assert "is a subclass or has groups" in reason(a, nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))


def test_functional_dropout_is_named() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.dropout(F.relu(self.a(x)), 0.5, self.training))

    assert tn.thinnable(Functional()).left["b"] == "dropout() before it is a function; make it a module, as tn.Dropout"


class Twice(nn.Module):
    """Some layers are called twice."""

    def __init__(self, *, drop: nn.Module | None = None, again: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.drop, self.again = drop or nn.Identity(), again

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.drop(F.relu(self.a(x))))
        return self.drop(x.softmax(-1)) + (self.b(x) if self.again else self.c(x))


def test_layers_that_are_used_twice_stay() -> None:
    assert tn.thinnable(Twice(again=True)).left["b"] == "'b' is used in other places too"
    assert tn.thinnable(Twice(drop=nn.Dropout())).left["b"] == "'drop' is used in other places too"
    assert Chain(("a",), "b") in found(Twice())
    shared = nn.Dropout()
    everywhere = nn.Sequential(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared, nn.Linear(4, 2))
    assert found(everywhere)[1:] == [Chain(("0",), "2", ("1",)), Chain(("2",), "4", ("1",))]
    hidden = nn.ModuleList([everywhere, shared])
    assert "'0.1' stands in the model under several names" in tn.thinnable(hidden).left["0.2"]


def test_one_dropout_for_all_chains_of_a_forward() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.drop = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)), nn.Dropout(0.2)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers[:-1]:
                x = self.drop(F.relu(layer(x)))
            return self.layers[-1](x)

    assert found(Shared())[1:] == [Chain((f"layers.{i}",), f"layers.{i + 1}", ("drop",)) for i in range(2)]


def test_it_prints() -> None:
    assert str(tn.thinnable(Gated())).splitlines()[0] == "gate and up -> down"
