import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from thinnet import __version__, errors
from thinnet.cli import _app
from thinnet.cli._errors import one_line
from thinnet.report import Curve
from thinnet.tabular import ThinNetClassifier


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


@pytest.mark.slow
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


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError, AssertionError])
def test_an_internal_error_says_so_and_shows_its_traceback_with_debug(
    thinnet, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    fails_with(monkeypatch, kind("oops"))
    status, out, err = thinnet("fit")
    assert (status, out) == (1, "")
    name = kind.__name__
    message = f"thinnet: internal error in thinnet, please report: {name}: {one_line(kind('oops'))}"
    assert err == f"{message}; rerun with --debug for the traceback\n"
    for words in (["fit", "--debug"], ["--debug", "fit"]):
        status, out, err = thinnet(*words)
        assert (status, out) == (1, "")
        assert "Traceback" in err and err.endswith(f"{message}\n")


NAMED = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ThinnetError)]


@pytest.mark.parametrize("kind", NAMED)
def test_an_error_named_by_thinnet_is_the_users(
    thinnet, monkeypatch: pytest.MonkeyPatch, kind: type[errors.ThinnetError]
) -> None:
    fails_with(monkeypatch, kind("one line,\n two"))
    assert thinnet("fit").refused() == "one line, two"
    status, _, err = thinnet("fit", "--debug")
    assert (status, "Traceback" in err) == (2, True)


def test_what_a_data_validation_refuses_is_the_users() -> None:
    for x, kind, says in [
        (np.zeros((0, 2)), errors.DataError, "Found array with 0 sample"),
        (np.array([[np.inf], [1.0]]), errors.DataError, "contains infinity"),
        (sparse.csr_array(np.eye(2)), errors.CellTypeError, "Sparse data was passed"),
    ]:
        with pytest.raises(kind, match=says):
            ThinNetClassifier().fit(x, [0, 1])


def test_what_another_part_of_thinnet_raises_is_an_internal_error(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="curve 'x': epochs, train and held_out must have one length") as caught:
        Curve("x", [1], [], [], 1)
    fails_with(monkeypatch, caught.value)
    assert thinnet("fit").status == 1


def test_debug_by_environment(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINNET_DEBUG", "1")
    fails_with(monkeypatch, KeyError("oops"))
    assert "Traceback" in thinnet("fit").err


def test_ctrl_c_outside_training(thinnet, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyboardInterrupt())
    assert thinnet("fit") == (130, "", "thinnet: stopped; nothing is half-written.\n")


@pytest.mark.parametrize(
    ("words", "status", "err"),
    [
        (["--help"], 0, ""),
        (["fit", "--help"], 0, ""),
        (["--version"], 0, ""),
        (["fiit"], 2, "No such command 'fiit'"),
        (["predict", "m", "t.csv", "--outt", "x"], 2, "No such option: --outt"),
        (["fit", "nowhere.csv", "--target", "y", "--out", "m"], 2, "there is no file nowhere.csv"),
    ],
)
def test_help_and_refusals_import_nothing_heavy(words: list[str], status: int, err: str, tmp_path: Path) -> None:
    code = (
        "import sys; from thinnet.cli import run; status = run(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'pandas', 'sklearn', 'plotly'} & {*sys.modules}; "
        "sys.exit(str(heavy) if heavy else status)"
    )
    command = [sys.executable, "-c", code, *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == status, ended.stderr
    assert err in ended.stderr


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
def test_a_seed_that_no_generator_takes_is_refused(thinnet, seed: str) -> None:
    line = thinnet("fit", "t.csv", "--target", "y", "--out", "m", "--seed", seed).refused()
    assert "Invalid value for '--seed'" in line
