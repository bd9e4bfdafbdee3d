from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss, mean_squared_error

from thinnet.ensemble import greedy_selection

Floats = NDArray[np.float64]


def library(members: int, rows: int, classes: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Members of unlike skill, as probabilities, and the classes they predict."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=rows)
    skill = rng.uniform(0, 2, size=(members, 1, 1))
    logits = rng.normal(size=(members, rows, classes)) + skill * np.eye(classes)[y]
    p = np.exp(logits)
    return p / p.sum(-1, keepdims=True), y


def by_hand(p: Floats, y: Floats, loss: object, rounds: int) -> Floats:
    """The paper's procedure, word for word, with scikit-learn's losses."""
    bag: list[int] = []
    history = []
    for _ in range(rounds):
        tried = [loss(y, sum(p[k] for k in [*bag, m]) / (len(bag) + 1)) for m in range(len(p))]  # type: ignore[operator]
        bag.append(int(np.argmin(tried)))
        history.append(min(tried))
    kept = Counter(bag[: int(np.argmin(history)) + 1])
    return np.array([kept[m] for m in range(len(p))]) / kept.total()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("classes", [2, 4])
def test_log_loss_by_hand(seed: int, classes: int) -> None:
    p, y = library(12, 60, classes, seed)
    np.testing.assert_allclose(
        greedy_selection(p, y, "log_loss", rounds=15, patience=15), by_hand(p, y, log_loss, 15), atol=1e-12
    )


@pytest.mark.parametrize("sharpness", [1, 20])
def test_log_loss_by_hand_on_many_members(sharpness: int) -> None:
    """Most members are ruled out by a bound there, also when they are sure of what is wrong."""
    p, y = library(60, 150, 2, 15)
    p = p**sharpness / (p**sharpness).sum(-1, keepdims=True)

    def loss(y: NDArray[np.int64], p: Floats) -> float:
        return float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-15)).mean())

    np.testing.assert_allclose(
        greedy_selection(p, y, "log_loss", rounds=40, patience=40), by_hand(p, y, loss, 40), atol=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("outputs", [(), (3,)])
def test_squared_error_by_hand(seed: int, outputs: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(40, *outputs))
    p = y + rng.normal(size=(10, 40, *outputs)) * rng.uniform(0.5, 2, size=(10, 1, *[1] * len(outputs)))
    np.testing.assert_allclose(
        greedy_selection(p, y, "squared_error", rounds=15, patience=15),
        by_hand(p, y, mean_squared_error, 15),
        atol=1e-12,
    )


def test_class_one_alone_is_the_pair_of_classes() -> None:
    p, y = library(9, 50, 2, 5)
    np.testing.assert_array_equal(greedy_selection(p[..., 1], y, "log_loss"), greedy_selection(p, y, "log_loss"))


def test_a_callable_is_the_loss_of_its_name() -> None:
    p, y = library(9, 50, 3, 6)

    def own(averages: Floats, targets: NDArray[np.generic]) -> Floats:
        return -np.log(averages[:, np.arange(len(targets)), targets.astype(int)]).mean(1)

    np.testing.assert_array_equal(greedy_selection(p, y, own), greedy_selection(p, y, "log_loss"))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("start", [0, 1, 5, 30])
def test_never_worse_than_the_best_member(seed: int, start: int) -> None:
    p, y = library(20, 80, 3, seed)
    weights = greedy_selection(p, y, "log_loss", start=start)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert log_loss(y, np.tensordot(weights, p, 1)) <= min(log_loss(y, m) for m in p) + 1e-12


def test_more_rounds_are_never_worse() -> None:
    p, y = library(20, 80, 3, 8)
    losses = [
        log_loss(y, np.tensordot(greedy_selection(p, y, "log_loss", rounds=r, patience=r), p, 1)) for r in (1, 3, 9, 27)
    ]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


def test_sorted_start_begins_with_the_best() -> None:
    """With no round left after them, the start is a prefix of the members sorted by their own loss."""
    p, y = library(20, 80, 3, 21)
    order = np.argsort([log_loss(y, m) for m in p])
    prefixes = [log_loss(y, p[order[:k]].mean(0)) for k in range(1, 7)]
    best = int(np.argmin(prefixes)) + 1
    expected = np.zeros(20)
    expected[order[:best]] = 1 / best
    assert best > 1
    got = greedy_selection(p, y, "log_loss", start=6, rounds=best)
    np.testing.assert_allclose(got, expected)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_ties_go_to_the_lower_index(loss: str) -> None:
    p, y = library(7, 501, 2, 10)
    targets = y if loss == "log_loss" else np.eye(2)[y]
    twice = np.concatenate([p, p, p])
    weights = greedy_selection(twice, targets, loss)  # type: ignore[arg-type]
    np.testing.assert_array_equal(weights[:7], greedy_selection(p, targets, loss))  # type: ignore[arg-type]
    assert not weights[7:].any()


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_the_search(patience: int) -> None:
    calls: list[int] = []

    def loss(averages: Floats, targets: NDArray[np.generic]) -> Floats:
        calls.append(len(averages))
        return ((averages - targets) ** 2).mean(1)

    weights = greedy_selection(np.array([[1.0, 0.0]]), np.zeros(2), loss, rounds=50, patience=patience)
    assert len(calls) == 1 + patience  # the best round, and those without a lower loss
    assert weights.tolist() == [1.0]


def test_wrong_and_sure_members_stay_finite() -> None:
    p = np.array([[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3])
    np.testing.assert_array_equal(greedy_selection(p, [1, 1, 1], "log_loss"), [0, 1])
    np.testing.assert_array_equal(greedy_selection(p[:1], [1, 1, 1], "log_loss"), [1])
    mixed = greedy_selection(p, [0, 1, 1], "log_loss", rounds=30, patience=30)
    np.testing.assert_allclose(mixed, [1 / 3, 2 / 3])


def test_bags_are_seeded_averages_of_parts() -> None:
    p, y = library(20, 40, 3, 12)
    weights = greedy_selection(p, y, "log_loss", bags=8, seed=1)
    np.testing.assert_array_equal(weights, greedy_selection(p, y, "log_loss", bags=8, seed=1))
    assert not np.array_equal(weights, greedy_selection(p, y, "log_loss", bags=8, seed=2))
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    whole = greedy_selection(p, y, "log_loss", bags=3, fraction=1.0)
    np.testing.assert_allclose(whole, greedy_selection(p, y, "log_loss"))
    assert np.count_nonzero(weights) > np.count_nonzero(whole)


def test_inputs_are_left_alone_and_may_be_read_only() -> None:
    p, y = library(5, 20, 2, 13)
    before = p.copy()
    p.flags.writeable = False
    greedy_selection(p, y, "log_loss")
    greedy_selection(p, np.eye(2)[y], "squared_error")
    np.testing.assert_array_equal(p, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_incomplete_predictions_are_refused(bad: float) -> None:
    p, y = library(4, 10, 2, 14)
    p[2, 7, 1] = bad
    with pytest.raises(
        ValueError, match=r"member 2 predicts (nan|inf) for row 7; out-of-fold predictions are complete"
    ):
        greedy_selection(p, y, "log_loss")


@pytest.mark.parametrize(
    ("p", "y", "loss", "match"),
    [
        (np.ones(3), np.ones(3), "squared_error", r"`predictions` must be \(M, N, C\) or \(M, N\)"),
        (np.ones((0, 3)), np.ones(3), "squared_error", "not empty"),
        (np.ones((2, 3)), np.ones(4), "squared_error", r"targets of shape \(3,\), got \(4,\)"),
        (np.ones((2, 3)), [1, 2, np.nan], "squared_error", "`targets` have NaN"),
        (np.ones((2, 3)), [0, 1, 2], "log_loss", r"targets in 0, \.\.\., 1"),
        (np.ones((2, 3)), [0, 1, 0.5], "log_loss", r"targets in 0, \.\.\., 1"),
        (np.ones((2, 3)), [0, 1], "log_loss", "needs 3 targets"),
        (np.full((2, 3), 1.5), [0, 1, 1], "log_loss", r"probabilities in \[0, 1\].*softmax"),
        (np.full((2, 3), -0.5), [0, 1, 1], "log_loss", r"probabilities in \[0, 1\].*softmax"),
        (np.ones((2, 3)), [0, 1, 1], lambda p, y: 0.0, "`loss` must give 2 numbers for 2 ensembles"),
        (np.ones((2, 3)), [0, 1, 1], lambda p, y: [np.nan, 0], "with NaN"),
        (np.ones((2, 3)), [0, 1, 1], lambda p, y: [-np.inf, 0], "with NaN or minus infinity"),
    ],
)
def test_what_does_not_fit_is_named(p: Floats, y: object, loss: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        greedy_selection(p, y, loss)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", ["rounds", "patience", "bags"])
def test_settings_are_named(setting: str) -> None:
    with pytest.raises(ValueError, match=f"`{setting}` must be >= 1, got 0"):
        greedy_selection(np.ones((2, 3)), np.ones(3), "squared_error", **{setting: 0})


def test_more_settings_are_named() -> None:
    with pytest.raises(ValueError, match="`start` must be >= 0, got -1"):
        greedy_selection(np.ones((2, 3)), np.ones(3), "squared_error", start=-1)
    with pytest.raises(ValueError, match=r"`fraction` must be in \(0, 1\], got 0"):
        greedy_selection(np.ones((2, 3)), np.ones(3), "squared_error", fraction=0)
    with pytest.raises(TypeError, match="`loss` must be"):
        greedy_selection(np.ones((2, 3)), np.ones(3), "hinge")  # type: ignore[arg-type]
