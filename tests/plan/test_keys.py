import pytest
from torch import nn

from thinnet.plan import Weight, weights
from thinnet.plan._keys import LAYER_WEIGHTS, Key, check_key, key_name, key_suggestion, matches


def model() -> nn.Sequential:
    tied = nn.Linear(3, 3)
    network = nn.Sequential(tied, nn.BatchNorm1d(3), nn.Linear(3, 3), nn.Embedding(4, 3))
    network[2].weight = tied.weight
    return network


def claimed(key: Key) -> list[str]:
    return [weight.name for weight in weights(model()) if matches(key, weight)]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("*.weight", ["0.weight", "1.weight", "3.weight"]),
        ("2.weight", ["0.weight"]),  # under its second name, too
        ("*.WEIGHT", []),
        (nn.Linear, ["0.weight"]),  # its own weights, no biases
        (nn.Module, ["0.weight", "1.weight", "3.weight"]),
        (lambda name, parameter: name == "2.weight", ["0.weight"]),
        (lambda name, parameter: parameter.ndim == 1, ["0.bias", "1.weight", "1.bias", "2.bias"]),
        (LAYER_WEIGHTS, ["0.weight"]),  # neither normalizations nor embeddings
    ],
)
def test_what_each_kind_of_key_claims(key: Key, names: list[str]) -> None:
    assert claimed(key) == names


@pytest.mark.parametrize("key", ["*", nn.Linear, lambda name, parameter: True, LAYER_WEIGHTS])
def test_a_key_that_a_plan_can_use_is_returned(key: Key) -> None:
    assert check_key(key) is key


@pytest.mark.parametrize("key", [3, None, int, ("a", "b")])
def test_what_is_no_key_is_refused(key: object) -> None:
    with pytest.raises(TypeError, match=r"a key of a Plan must be a glob over parameter names, a module class or a p"):
        check_key(key)


def by_name(name: str, parameter: nn.Parameter) -> bool:
    return False


@pytest.mark.parametrize(
    ("key", "name"),
    [("*.w", "'*.w'"), (nn.Linear, "Linear"), (by_name, "by_name"), (LAYER_WEIGHTS, "every weight matrix and kernel")],
)
def test_a_key_is_written_for_people(key: Key, name: str) -> None:
    assert key_name(key) == name


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("0.weigt", "Did you mean '0.weight'"),
        (nn.LazyBatchNorm1d, "Did you mean 'BatchNorm1d'?"),
        (by_name, "The model has 0.weight, 0.bias, 1.weight, 1.bias, 2.bias, 3.weight."),
    ],
)
def test_a_key_that_claims_nothing_gets_near_misses_or_all_there_is(key: Key, expected: str) -> None:
    assert key_suggestion(key, weights(model())).startswith(expected)


def test_a_long_list_is_cut_and_an_empty_one_says_so() -> None:
    many: tuple[Weight, ...] = weights(nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)]))
    assert key_suggestion(by_name, many).endswith("3.weight, 3.bias, ....")
    assert key_suggestion(by_name, ()) == "The model has no weights."
