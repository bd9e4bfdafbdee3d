"""The result of an export."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import thinnet as tn


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 2).eval()


def test_what_was_written_prints(tmp_path: Path) -> None:
    written = tn.export_onnx(linear(), torch.randn(3, 4), tmp_path / "m.onnx")
    lines = str(written).splitlines()
    assert lines[0] == f"{tmp_path / 'm.onnx'}: ONNX, {written.size:,} bytes"
    assert lines[2].split() == ["in", "input", "float32", "(any,", "4)"]
    assert lines[3].split() == ["out", "output", "float32", "(any,", "2)"]
    assert lines[4].endswith("over 5 inputs.")


def test_places_that_cannot_be_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"export_onnx: there is no folder .*nowhere; make it first"):
        tn.export_onnx(linear(), torch.randn(3, 4), tmp_path / "nowhere" / "m.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        tn.export_onnx(linear(), torch.randn(3, 4), tmp_path)


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf'{name} is not installed, .*: pip install "thinnet\[onnx\]"$'):
        tn.export_onnx(linear(), torch.randn(3, 4), tmp_path / "m.onnx")
