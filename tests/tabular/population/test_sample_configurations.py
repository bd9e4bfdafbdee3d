import numpy as np
import pytest

from thinnet import L1, L2, ElasticNet, GroupLasso, MaxNorm, Rule, WeightDecay
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._sample_configurations import ENCODINGS, offspring, population


def configurations(
    count: int = 60, *, rows: int = 1000, classification: bool = True, seed: int = 0
) -> list[Configuration]:
    return population(count, rows=rows, classification=classification, rng=np.random.default_rng(seed))


def strengths(rule: Rule) -> dict[str, float]:
    return {name: value for name, value in rule.settings().items() if isinstance(value, float)}


def test_the_textbooks_regularizers_come_first_and_alone() -> None:
    singles = configurations(10)
    assert str(singles[0]) == "none"
    assert not singles[0].regularized
    assert singles[0].rule is None
    alone = [type(rule) for configuration in singles for rule in configuration.rules]
    assert set(alone) == {L1, L2, ElasticNet, GroupLasso, MaxNorm, WeightDecay}
    assert len(alone) == 6
    assert sorted(configuration.dropout for configuration in singles if configuration.dropout) == [0.1, 0.25, 0.5]
    for configuration in singles[1:]:
        assert len(configuration.rules) + bool(configuration.dropout) + bool(configuration.label_smoothing) == 1


@pytest.mark.parametrize("count", [1, 3, 10, 25])
def test_there_are_as_many_as_asked_for_and_fewer_are_a_beginning_of_more(count: int) -> None:
    assert len(configurations(count)) == count
    assert configurations(count) == configurations(40)[:count]


def test_the_generator_alone_decides() -> None:
    assert configurations(seed=3) == configurations(seed=3)
    assert configurations(seed=3) != configurations(seed=4)


def test_penalties_shrink_with_rows_and_decay_and_constraints_do_not() -> None:
    for few, many in zip(configurations(rows=1000), configurations(rows=10_000), strict=True):
        assert (few.dropout, few.label_smoothing, few.lr, few.encodings) == (
            many.dropout,
            many.label_smoothing,
            many.lr,
            many.encodings,
        )
        for small, large in zip(few.rules, many.rules, strict=True):
            share = 1.0 if isinstance(small, WeightDecay | MaxNorm) else 0.1
            assert type(small) is type(large)
            for name, value in strengths(small).items():
                assert strengths(large)[name] == pytest.approx(share * value, rel=1e-12)


def test_labels_are_smoothed_for_classes_only() -> None:
    assert any(configuration.label_smoothing for configuration in configurations())
    assert not any(configuration.label_smoothing for configuration in configurations(classification=False))


def test_random_mixtures_see_every_kind_of_encoding() -> None:
    assert {configuration.encodings for configuration in configurations(200)[10:]} == set(ENCODINGS)


def children(parents: list[Configuration], *, classification: bool = True, count: int = 400) -> list[Configuration]:
    return offspring(parents, count, classification=classification, rng=np.random.default_rng(5))


def test_children_have_a_parents_rules_and_encodings_with_strengths_moved_a_little() -> None:
    parents = [
        Configuration((L2(0.01), MaxNorm(2.0)), dropout=0.3, label_smoothing=0.05, lr=5e-3, encodings=("slow",)),
        Configuration((WeightDecay(0.1),), dropout=0.1, lr=1e-3, encodings=()),
    ]
    shapes = {tuple(type(rule) for rule in parent.rules): parent for parent in parents}
    ratios = []
    for child in children(parents):
        parent = shapes[tuple(type(rule) for rule in child.rules)]
        assert child.encodings == parent.encodings
        for own, theirs in zip(child.rules, parent.rules, strict=True):
            if isinstance(own, MaxNorm):
                assert own == theirs  # a limit is no strength
            else:
                ratios += [np.log(strengths(own)[name] / value) for name, value in strengths(theirs).items()]
    assert len(ratios) == len(set(ratios)) == 400
    assert 0.5 < np.std(ratios) < 0.7
    assert abs(np.mean(ratios)) < 0.1


def test_children_stay_within_bounds() -> None:
    parents = [
        Configuration(dropout=0.58, label_smoothing=0.19, lr=2.9e-2),
        Configuration(dropout=0.02, label_smoothing=0.01, lr=1e-3),
    ]
    some = children(parents)
    assert max(child.dropout for child in some) == 0.6
    assert min(child.dropout for child in some) == 0
    assert max(child.label_smoothing for child in some) == 0.2
    assert max(child.lr for child in some) == 3e-2
    assert min(child.lr for child in some) > 0


def test_children_gain_nothing_that_no_parent_has_but_a_little_dropout() -> None:
    plain = children([Configuration(lr=4e-3, encodings=("fast",))])
    assert all(child.rules == () and 0.02 <= child.dropout <= 0.2 for child in plain)
    assert all(child.dropout == 0 for child in children([Configuration((L1(1e-3),))]))
    assert {child.encodings for child in plain} == {("fast",)}
    assert len({child.lr for child in plain}) == len(plain)
    assert not any(
        child.label_smoothing for child in children([Configuration(label_smoothing=0.1)], classification=False)
    )


def test_every_parent_has_children_in_turn() -> None:
    parents = [Configuration(dropout=0.2), Configuration((L1(1e-4),)), Configuration((L2(1e-3),))]
    some = offspring(parents, 300, classification=True, rng=np.random.default_rng(0))
    assert len(some) == 300
    # seven in ten have one parent only, and a third of the rest meets the same one
    own = [tuple(map(type, child.rules)) == tuple(map(type, parents[i % 3].rules)) for i, child in enumerate(some)]
    assert 0.7 < np.mean(own) < 0.9
