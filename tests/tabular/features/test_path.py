import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from thinnet.tabular._budget import Budget
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import learn
from thinnet.tabular.features import _path as _feature_path
from thinnet.tabular.features._path import FeaturePath, balanced, feature_path
from thinnet.tabular.features._path_training import Rounds
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._folds import stratified_folds

MATTER = {"number 1", "number 4", "word 2"}


def made_up(outputs: int, *, seed: int, rows: int = 400) -> tuple[Problem, list[str], list[int]]:
    """Twelve columns, of which a bend, a slope and a category matter."""
    rng = np.random.default_rng(seed)
    table = {f"number {i}": rng.normal(size=rows) for i in range(8)}
    X = pd.DataFrame(table | {f"word {i}": rng.choice(list("abcd"), rows) for i in range(4)})
    signal = 2 * X["number 1"].abs() - 1.6 + 1.5 * X["number 4"] + 2 * X["word 2"].isin(["a", "c"]) - 1
    signal = (signal + 0.4 * rng.normal(size=rows)).to_numpy()
    if outputs > 1:
        codes = np.digitize(signal, np.quantile(signal, np.arange(1, outputs) / outputs))
        y, strata = torch.from_numpy(codes), codes
    else:
        y, strata = torch.from_numpy((signal / signal.std()).astype(np.float32)), None
    schema, frame = learn(X)
    encoder = Encoder.fit(frame, schema, n_bins=8)
    names = [column.name for column in schema.columns]
    blocks = [names.index(name) for name, _ in encoder.columns]
    x = balanced(torch.from_numpy(encoder.encode(frame)), blocks)
    parts = np.array([part for _, part in encoder.columns])
    return Problem(x, y, stratified_folds(strata, rows, 5, seed), outputs, parts), names, blocks


def run(problem: Problem, names: list[str], blocks: list[int], *, seconds: float | None = None) -> FeaturePath:
    rounds = Rounds(problem, batch_size=64, seed=0, budget=Budget(seconds))
    return feature_path(problem, names, blocks, rounds, 0)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_columns_that_matter_are_chosen_and_noise_is_not(outputs: int, seed: int) -> None:
    found = run(*made_up(outputs, seed=seed))
    assert set(found.chosen) == MATTER
    assert min(found.leaves[name] for name in MATTER) > max(found.leaves[name] for name in found.leaves.keys() - MATTER)
    chosen = next(step for step in found.steps if step.strength == found.strength)
    dense = found.steps[0]
    assert chosen.held_out < dense.held_out


@pytest.mark.usefixtures("short_path")
def test_the_path_goes_from_every_column_to_none() -> None:
    problem, names, blocks = made_up(2, seed=0)
    found = run(problem, names, blocks)
    first, *_, last = found.steps
    assert (first.strength, first.features, first.zeros) == (0.0, 12, 0.0)
    assert (last.features, last.zeros, last.norm) == (0, 1.0, 0.0)
    assert all(a.strength < b.strength for a, b in zip(found.steps, found.steps[1:], strict=False))
    for step in found.steps:
        left = {name for name, strength in found.leaves.items() if strength > step.strength}
        assert step.features <= len(left)  # fewer where a column comes back
    assert last.held_out == pytest.approx(math.log(2), abs=0.02)  # nothing is read: the share of the classes
    assert found.ended is False


@pytest.mark.slow
@pytest.mark.usefixtures("short_path")
def test_the_same_seed_gives_the_same_path() -> None:
    assert run(*made_up(1, seed=0)) == run(*made_up(1, seed=0))


@pytest.mark.usefixtures("short_path")
def test_the_choice_is_the_strongest_within_one_standard_error() -> None:
    found = run(*made_up(3, seed=1))
    best = min(found.steps, key=lambda step: step.held_out)
    within = [step.strength for step in found.steps if step.held_out <= best.held_out + best.se]
    assert (found.best, found.strength) == (best.strength, max(within))
    frame = found.frame()
    assert frame.loc[frame["chosen"], "strength"].tolist() == [found.strength]
    assert frame.loc[frame["best"], "strength"].tolist() == [found.best]
    assert frame.loc[frame["chosen"], "features"].tolist() == [len(found.chosen)]


@pytest.mark.usefixtures("short_path")
@pytest.mark.parametrize("outputs", [1, 2])
def test_of_noise_alone_some_column_is_chosen_all_the_same(outputs: int) -> None:
    problem, names, blocks = made_up(outputs, seed=0, rows=120)
    noise = problem.y_N[torch.from_numpy(np.random.default_rng(1).permutation(120))]
    assert run(replace(problem, y_N=noise), names, blocks).chosen


@pytest.mark.usefixtures("short_path")
def test_where_time_is_over_what_was_found_counts() -> None:
    found = run(*made_up(2, seed=0), seconds=1e-6)
    assert found.ended
    assert len(found.chosen) == 12  # the dense network alone was trained: nothing has left
    assert set(found.leaves.values()) == {math.inf}


@pytest.mark.usefixtures("short_path")
def test_a_column_without_any_input_is_not_chosen() -> None:
    problem, names, blocks = made_up(2, seed=0)
    found = run(problem, [*names, "void"], blocks)
    assert found.leaves["void"] == 0
    assert "void" not in found.chosen


@pytest.mark.usefixtures("short_path")
def test_networks_that_all_diverge_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_feature_path, "LR", 1e30)
    with pytest.raises(ValueError, match="every network diverged while columns were chosen: no held-out loss was fini"):
        run(*made_up(1, seed=0))


@pytest.mark.parametrize("blocks", [[0, 0, 1, 2, 2, 2], [1, 0, 1, 0, 1, 0], [0] * 6])
def test_blocks_are_balanced(blocks: list[int], make_problem: Callable[..., Problem]) -> None:
    x = 7 * make_problem().x_ND * torch.arange(1, 7) + 3
    found = balanced(x, blocks)
    torch.testing.assert_close(found.mean(0), torch.zeros(6), atol=1e-6, rtol=0)
    for block in set(blocks):
        inside = [i for i, number in enumerate(blocks) if number == block]
        torch.testing.assert_close(found[:, inside].square().mean(), torch.tensor(1.0))
        ratio = found[:, inside].std(0) / x[:, inside].std(0)
        torch.testing.assert_close(ratio, ratio[:1].expand(len(inside)))  # one factor a block


def test_a_block_that_says_nothing_stays_finite() -> None:
    assert balanced(torch.ones(3, 2), [0, 1]).tolist() == [[0, 0]] * 3
