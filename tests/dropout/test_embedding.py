import copy

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

IDS = torch.tensor([[1, 2, 1, 0], [2, 7, 1, 5], [0, 0, 3, 7]])


def table(**settings: object) -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(9, 4, **settings)  # type: ignore[arg-type]


def layer(embedding: nn.Embedding, p: float = 0.5, seed: int = 0) -> tn.EmbeddingDropout:
    return tn.EmbeddingDropout(embedding, p, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_every_occurrence_of_a_word_is_dropped_or_none(p: float) -> None:
    embedding = table()
    fates = set()
    for seed in range(8):
        y = layer(embedding, p, seed)(IDS)
        for word in IDS.unique().tolist():
            seen, kept = y[word == IDS], embedding.weight[word] / (1 - p)
            dropped = bool((seen == 0).all())
            torch.testing.assert_close(seen, (0 * kept if dropped else kept).expand_as(seen))
            fates.add((word, dropped))
    assert len(fates) == 2 * len(IDS.unique())


def test_it_is_the_embedding_it_was_made_of() -> None:
    embedding = table(padding_idx=2, max_norm=1.5, norm_type=1.0, scale_grad_by_freq=True, sparse=True).eval()
    ours = tn.EmbeddingDropout(embedding, 0.25)
    assert ours.weight is embedding.weight
    assert {key: value for key, value in vars(embedding).items() if key not in vars(ours)} == {}
    settings = embedding.__constants__
    assert [getattr(ours, name) for name in settings] == [getattr(embedding, name) for name in settings]
    assert not ours.training
    assert repr(ours) == repr(embedding).replace("Embedding", "EmbeddingDropout").replace(")", ", p=0.25)")


def test_states_load_both_ways() -> None:
    plain = nn.ModuleDict({"words": table()})
    dropped = nn.ModuleDict({"words": tn.EmbeddingDropout(nn.Embedding(9, 4), 0.5)})
    assert dict(dropped.named_parameters()).keys() == dict(plain.named_parameters()).keys()
    dropped.load_state_dict(plain.state_dict())
    assert torch.equal(dropped["words"].weight, plain["words"].weight)
    nn.ModuleDict({"words": nn.Embedding(9, 4)}).load_state_dict(dropped.state_dict())


def test_tied_weights_stay_tied() -> None:
    model = nn.ModuleDict({"words": table(), "out": nn.Linear(4, 9, bias=False)})
    model["out"].weight = model["words"].weight
    model["words"] = layer(model["words"])
    assert len(list(model.parameters())) == 1
    twin = copy.deepcopy(model)
    assert twin["out"].weight is twin["words"].weight


def gradient(embedding: nn.Embedding, factor: Tensor | float = 1.0) -> Tensor:
    embedding.zero_grad()
    (embedding(IDS) * factor).square().sum().backward()
    return embedding.weight.grad.clone()


@pytest.mark.parametrize(
    "settings", [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}, {"sparse": True}, {"max_norm": 0.5}], ids=str
)
def test_gradients_and_norms_are_the_embeddings(settings: dict[str, object]) -> None:
    embedding, ours = table(**settings), layer(table(**settings))
    kept = layer(table())(IDS).ne(0).any(-1, keepdim=True)
    expected = gradient(embedding, kept * 2.0)
    found = gradient(ours)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours.weight, embedding.weight, rtol=0, atol=0)
    assert found.to_dense().abs().sum() > 0


def test_a_plan_takes_it_for_an_embedding() -> None:
    model = nn.Sequential(layer(table()), nn.Linear(4, 2))
    bound = tn.Plan(tn.L2(1.0)).bind(model)
    assert {binding.name for binding in bound} == {"1.weight"}


class Scaled(nn.Embedding):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


@pytest.mark.parametrize("other", [Scaled(3, 2), nn.EmbeddingBag(3, 2), nn.Linear(3, 2)], ids=repr)
def test_what_looks_up_in_another_way_is_refused(other: nn.Module) -> None:
    with pytest.raises(TypeError, match=rf"must be a torch\.nn\.Embedding itself, got {type(other).__name__}; what"):
        tn.EmbeddingDropout(other)  # type: ignore[arg-type]
