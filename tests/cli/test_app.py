import inspect
from pathlib import Path
from typing import Any

import pytest

from thinnet.cli import _app


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What the commands ask of training, which does not run."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr("thinnet.cli._fit.fit_table", lambda *given, **options: calls.append((given, options)))
    return calls


@pytest.mark.parametrize("command", ["fit", "path"])
def test_options_reach_the_estimator_by_its_names(thinnet, asked: list, command: str) -> None:
    words = ["--seed", "7", "--time-limit", "2.5", "--polish", "--task", "regression", "--test", "t2.csv", "--resume"]
    assert thinnet(command, "t.csv", "--target", "y", "--out", "m", *words).status == 0
    [(given, options)] = asked
    assert given == (Path("t.csv"), "y", Path("m"))
    settings = {"time_limit": 2.5, "random_state": 7, "polish": True, "refit": False}
    settings |= {"select_features": True} if command == "path" else {}
    others = {"task": "regression", "test": Path("t2.csv"), "resume": True, "json": False}
    assert options == {**others, "settings": settings}


def test_fit_and_path_take_the_same_options() -> None:
    fit, path = (inspect.signature(command).parameters for command in (_app.fit, _app.path))
    assert fit.keys() == path.keys()
    assert [p.default for p in fit.values()] == [p.default for p in path.values()]


def test_every_command_and_option_has_help() -> None:
    commands = _app.command().commands
    assert commands.keys() == {"fit", "path", "predict", "compact", "export", "demo"}
    for name, command in commands.items():
        assert command.help, name
        assert all(option.help for option in command.params), name


@pytest.mark.parametrize("limit", ["0", "0.5", "soon"])
def test_a_time_limit_that_is_none_is_refused(thinnet, asked: list, limit: str) -> None:
    line = thinnet("fit", "t.csv", "--target", "y", "--out", "m", "--time-limit", limit).refused()
    assert "Invalid value for '--time-limit'" in line
    assert not asked
