"""The code in README and docs is run as it stands there, but for the seconds it trains."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

ROOT = Path(__file__).parents[1]


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and code of each."""
    brief = re.sub(r"(time[_-]limit[= ])\d+", r"\g<1>5", text)
    return re.findall(r"```(\w+)\n(.*?)```", brief, flags=re.DOTALL)


BLOCKS = blocks((ROOT / "README.md").read_text(encoding="utf-8"))
DOCS = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
PYTHON = [code for language, code in [*BLOCKS, *blocks(DOCS)] if language == "python"]
COMMANDS = [line.split("#")[0] for language, code in BLOCKS if language == "console" for line in code.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


def test_make_commands_are_targets() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    asked = [shlex.split(command)[1] for command in COMMANDS if command.startswith("make ")]
    assert asked
    assert set(asked) <= set(targets)


@pytest.mark.slow
def test_thinnet_commands_run(tmp_path: Path) -> None:
    table = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "diagnosis"})
    table[:400].to_csv(tmp_path / "patients.csv", index=False)
    table[400:].drop(columns="diagnosis").to_csv(tmp_path / "new_patients.csv", index=False)
    commands = [shlex.split(command) for command in COMMANDS if command.startswith("thinnet ")]
    assert [command[1] for command in commands] == ["fit", "predict", "path", "compact", "export"]
    program = Path(sys.executable).with_name("thinnet")
    for command in commands:
        done = subprocess.run([program, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / "report.html").exists()
    assert (tmp_path / "few" / "path.html").exists()
    assert (tmp_path / "model-compact.onnx").exists()
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 170
