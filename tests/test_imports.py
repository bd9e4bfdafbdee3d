"""Importing brings neither torch's compiler nor its exporters, which would more than double the time of torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import thinnet

ROOMS = sorted(f"thinnet.{p.parent.name}" for p in Path(thinnet.__file__).parent.glob("*/__init__.py"))
COMPILER = ("torch._dynamo", "torch._inductor", "torch.onnx", "sympy", "torch.fx.experimental.symbolic_shapes")


@pytest.mark.parametrize(
    ("code", "spared"),
    [
        (f"import {', '.join(ROOMS)}", COMPILER),
        ("import thinnet\nfor name in thinnet.__all__: getattr(thinnet, name)", (*COMPILER, "sklearn", "pandas")),
    ],
    ids=["rooms", "public names"],
)
def test_imports_load_no_compiler(code: str, spared: tuple[str, ...]) -> None:
    code = f"import sys, torch\nbefore = {{*sys.modules}}\n{code}\nprint(*{{*sys.modules}} - before)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "thinnet.penalties" in loaded
    assert not {name for name in loaded if name.startswith(spared)}
