"""The root package: names that are imported when they are first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import thinnet as tn

SOURCE = Path(tn.__file__)
PACKAGES = sorted(path.parent.name for path in SOURCE.parent.glob("*/__init__.py"))


def run(code: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.split()


def test_every_name_comes_from_the_module_that_type_checkers_see() -> None:
    [block] = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)][:1]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert seen == tn._MODULE_OF
    assert sorted(tn.__all__) == sorted({*seen, "__version__"})


@pytest.mark.parametrize("name", tn.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(tn, name) is not None
    assert name in dir(tn)


def test_no_name_shadows_a_package() -> None:
    assert not {*PACKAGES} & {*tn.__all__}
    code = "from thinnet import *; import thinnet; " + "; ".join(
        f"import thinnet.{name} as {name}" for name in PACKAGES
    )
    kinds = ", ".join(f"type({name}).__name__" for name in PACKAGES)
    assert run(f"{code}; print({kinds})") == ["module"] * len(PACKAGES)


def test_modules_need_no_import_of_their_own() -> None:
    code = "import thinnet as tn; print(tn.schedules.__name__, tn.errors.__name__, tn.tabular.__name__)"
    assert run(code) == ["thinnet.schedules", "thinnet.errors", "thinnet.tabular"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("l2", "L2"), ("max_norm", "MaxNorm"), ("weight_decay", "WeightDecay"), ("grouplasso", "GroupLasso")],
)
def test_a_near_miss_is_named(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"^thinnet has no '{name}'; did you mean {meant}\\?$"):
        getattr(tn, name)


def test_a_name_that_is_near_nothing_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"^thinnet has no 'qqqqqq'\.$"):
        tn.qqqqqq  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'qqqqqq' from 'thinnet'"):
        exec("from thinnet import qqqqqq")


def test_the_import_itself_imports_nothing() -> None:
    loaded = run("import sys; before = {*sys.modules}; import thinnet; print(*{*sys.modules} - before)")
    assert not {"torch", "numpy", "pandas", "sklearn"} & {*loaded}
    assert [name for name in loaded if name.startswith("thinnet")] == ["thinnet"]


def test_errors_bring_no_torch() -> None:
    loaded = run("import sys, thinnet; thinnet.ThinnetError; print(*sys.modules)")
    assert not {"torch", "numpy"} & {*loaded}
    assert "thinnet.errors" in loaded


def test_a_star_import_brings_every_name() -> None:
    assert {*run("from thinnet import *; print(*dir())")} >= {*tn.__all__}
