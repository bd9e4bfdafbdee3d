"""What holds in every file: documented names, errors that are told apart by their words, no paths of one machine."""

import ast
import inspect
from pathlib import Path

import pytest

import thinnet
from thinnet import tabular

ROOT = Path(__file__).parents[1]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXTS = sorted(
    path
    for folder in ("src", "tests", "docs", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".css", ".js", ".jinja"}
) + sorted(path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"} or path.name == "Makefile")
PUBLIC = {
    f"{module.__name__}.{name}": value
    for module in (thinnet, tabular)
    for name in module.__all__
    if inspect.isroutine(value := getattr(module, name)) or inspect.isclass(value)
}

# Bases, results, errors and warnings, which are met in the examples of others. No line is ever added here.
WITHOUT_EXAMPLE = {
    "thinnet.Attachment",
    "thinnet.CellTypeError",
    "thinnet.Chains",
    "thinnet.CheckpointError",
    "thinnet.Constraint",
    "thinnet.Coverage",
    "thinnet.DataError",
    "thinnet.Decay",
    "thinnet.DropoutLayer",
    "thinnet.Exported",
    "thinnet.Finding",
    "thinnet.JointPenalty",
    "thinnet.KeptZeros",
    "thinnet.Member",
    "thinnet.ModelFolderError",
    "thinnet.NoEffectWarning",
    "thinnet.NotCompactableError",
    "thinnet.NotExportableError",
    "thinnet.ParameterError",
    "thinnet.Penalty",
    "thinnet.PlanWarning",
    "thinnet.Point",
    "thinnet.Polished",
    "thinnet.Potential",
    "thinnet.RegularizationPath",
    "thinnet.Reliability",
    "thinnet.Report",
    "thinnet.Rule",
    "thinnet.Summary",
    "thinnet.ThinnetError",
    "thinnet.WeightPenalty",
    "thinnet.tabular.CompactedTable",
    "thinnet.tabular.Progress",
    "thinnet.tabular.TableModel",
    "thinnet.tabular.check_destination",
    "thinnet.tabular.load",
    "thinnet.tabular.read_model",
    "thinnet.tabular.size_of",
}
# Errors that carry no words.
WORDLESS = {"KeyboardInterrupt", "KilledError", "OutOfTimeError", "ZeroDivisionError"}
# Where someone's checkout lies, split so that this file does not name it.
PATHS = ("/".join(("", "work", "")), "/".join(("", "tmp", "")), "/".join(("", "home", "")), "/".join(("", "root", "")))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_defined_in_a_sentence(name: str) -> None:
    own = PUBLIC[name].__doc__
    assert own, f"{name} has no docstring"
    first = own.strip().splitlines()[0]
    assert first.endswith("."), f"the first line of {name} is no sentence: {first!r}"


def test_public_names_have_examples_that_run() -> None:
    found = {name for name, value in PUBLIC.items() if ">>>" not in (inspect.getdoc(value) or "")}
    assert not found - WITHOUT_EXAMPLE, "public names without an example"
    assert not WITHOUT_EXAMPLE - found, "names that have one by now, or are gone: take them off the list"


def test_errors_are_told_apart_by_their_words() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in TESTS
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("pytest.raises", "pytest.warns")
        if not any(keyword.arg == "match" for keyword in call.keywords)
        if not (call.args and ast.unparse(call.args[0]) in WORDLESS)
    ]
    assert not bare, f"raises without match=: {bare}"


def test_no_file_names_a_place_on_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in TEXTS
        for place in PATHS
        if place in path.read_text(encoding="utf-8")
    ]
    assert not found
