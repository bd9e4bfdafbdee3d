import subprocess
import sys
from pathlib import Path

import pytest

from thinnet import __version__
from thinnet.cli import _app


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr(_app, "command", command)


def test_help_names_the_commands(thinnet) -> None:
    ended = thinnet("--help")
    assert (ended.status, ended.err) == (0, "")
    assert all(name in ended.out for name in ("fit", "path", "predict", "demo"))


def test_no_command_is_a_call_for_help(thinnet) -> None:
    ended = thinnet()
    assert (ended.status, ended.out.split()) == (0, thinnet("--help").out.split())


def test_version(thinnet) -> None:
    assert thinnet("--version") == (0, f"thinnet {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fiit"], "No such command 'fiit'. Did you mean 'fit'? Try 'thinnet --help'."),
        (["fit"], "Missing argument 'TABLE'. Try 'thinnet fit --help'."),
        (["fit", "t.csv", "--out", "m"], "Missing option '--target'. Try 'thinnet fit --help'."),
        (["fit", "t.csv", "--target", "y", "--out", "m", "--time-limit", "0"], "Invalid value for '--time-limit'"),
        (["fit", "t.csv", "--target", "y", "--out", "m", "--task", "cluster"], "Invalid value for '--task'"),
        (["predict", "m", "t.csv", "--outt", "x"], "No such option: --outt"),
    ],
)
def test_a_wrong_command_is_one_line(thinnet, words: list[str], says: str) -> None:
    assert says in thinnet(*words).refused()


def test_a_missing_extra_names_the_exact_command(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, ModuleNotFoundError("No module named 'pandas'", name="pandas"))
    assert thinnet("fit").refused().endswith('pip install "thinnet[tabular]"')


def test_without_typer_the_command_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from thinnet.cli import run; sys.exit(run(['--help']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert (
        ended.stderr
        == 'thinnet: typer is not installed, and the command line needs it: pip install "thinnet[tabular]"\n'
    )


def test_a_module_that_no_extra_brings_is_our_fault(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, ModuleNotFoundError("No module named 'thinnet.nowhere'", name="thinnet.nowhere"))
    assert thinnet("fit").status == 1


def test_our_fault_is_a_plea_and_the_traceback_stands_behind_debug(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyError("oops"))
    status, out, err = thinnet("fit")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "a fault of ours, not of your table: KeyError: 'oops'; please report it" in err
    assert "Traceback" in thinnet("fit", "--debug").err


def test_debug_by_environment(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINNET_DEBUG", "1")
    fails_with(monkeypatch, KeyError("oops"))
    assert "Traceback" in thinnet("fit").err


def test_ctrl_c_outside_training(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyboardInterrupt())
    assert thinnet("fit") == (130, "", "thinnet: stopped; nothing is half-written.\n")


def test_help_imports_neither_torch_nor_pandas() -> None:
    # the package's own __init__ brings torch; what counts here is that the command line does not
    code = (
        "import sys, types; room = types.ModuleType('thinnet'); room.__path__ = [sys.argv[1]]; "
        "sys.modules['thinnet'] = room; from thinnet.cli import run; status = run(['fit', '--help']); "
        "heavy = {'torch', 'pandas', 'sklearn', 'plotly'} & set(sys.modules); sys.exit(str(heavy) if heavy else status)"
    )
    source = str(Path(_app.__file__).parents[1])
    ended = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
