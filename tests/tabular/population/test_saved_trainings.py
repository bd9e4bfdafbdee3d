from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from thinnet.errors import CheckpointError
from thinnet.tabular._budget import Budget
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._saved_trainings import SavedTrainings
from thinnet.tabular.population._schedule import Schedule
from thinnet.tabular.population._settings import Settings
from thinnet.tabular.population._training import Training

SETTINGS = Settings(2, 1, (8,), 100, 32, 0)
CONFIGURATIONS = [Configuration(), Configuration(dropout=0.3)]


def opened(problem: Problem, path: Path | None, settings: Settings = SETTINGS) -> SavedTrainings:
    return SavedTrainings.of(path, problem, settings, CONFIGURATIONS, Budget(100.0), "")


def training(problem: Problem, steps: int) -> Training:
    """One that is ended after so many steps."""
    each: Training = Training(
        problem,
        CONFIGURATIONS,
        hidden=(8,),
        batch_size=32,
        schedule=Schedule(100, Budget(None)),
        seed=0,
        stop=lambda: each.schedule.step >= steps,
    )
    return each


def test_a_training_goes_on_where_it_was_written(make_problem: Callable[..., Problem], tmp_path: Path) -> None:
    problem, file = make_problem(), tmp_path / "fit"
    saved = opened(problem, file)
    assert saved.unfinished == []
    first = training(problem, 30)
    saved.add(first)
    first.run()
    saved.budget.start -= 40
    saved.write(rounds=2)

    resumed = opened(problem, file)
    assert resumed.budget.elapsed == pytest.approx(40, abs=5)
    assert resumed.unfinished[0][1]["rounds"] == 2
    second, straight = training(problem, 100), training(problem, 100)
    resumed.add(second)
    assert second.schedule.step == 30
    assert resumed.best_score == first.best_score
    for each in (second, straight):
        each.run()
    np.testing.assert_array_equal(second.result().oof_MNC, straight.result().oof_MNC)
    resumed.add(later := training(problem, 5))  # the interrupted fit had one
    assert later.schedule.step == 0


def test_a_file_of_another_fit_is_refused(make_problem: Callable[..., Problem], tmp_path: Path) -> None:
    saved = opened(make_problem(), tmp_path / "fit")
    saved.add(training(make_problem(), 1))
    saved.write(rounds=1)
    for problem, settings in [(make_problem(1), SETTINGS), (make_problem(), Settings(2, 1, (9,), 100, 32, 0))]:
        with pytest.raises(CheckpointError, match="belongs to another table, other parameters or another seed"):
            opened(problem, tmp_path / "fit", settings)


def test_without_a_file_nothing_is_written(make_problem: Callable[..., Problem], tmp_path: Path) -> None:
    saved = opened(make_problem(), None)
    saved.add(training(make_problem(), 1))
    saved.write(rounds=1)
    saved.write_if_due(rounds=1)
    assert saved.close(remove=True) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_when_due_and_removed_at_the_end(
    make_problem: Callable[..., Problem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = opened(make_problem(), tmp_path / "fit")
    saved.add(training(make_problem(), 1))
    saved.write_if_due(rounds=1)  # nothing is due so early
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("thinnet.tabular._checkpoint._SECONDS", 0.0)
    saved.write_if_due(rounds=1)
    assert [file.name for file in tmp_path.iterdir()] == ["fit"]
    assert saved.close(remove=False) == []
    assert (tmp_path / "fit").exists()
    assert saved.close(remove=True) == []
    assert list(tmp_path.iterdir()) == []
