import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.compaction.export import _onnx, _session


def run(path: Path, **given: Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in given.items()})


class Mixed(nn.Module):
    """Numbers and words in, a dict of a tensor, a tuple and a number out."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.words = nn.Linear(4, 8), nn.Embedding(10, 8)

    def forward(self, x: Tensor, ids: Tensor | None = None, scale: float = 2.0) -> dict[str, Any]:
        h = torch.relu(self.linear(x))
        h = h if ids is None else h + self.words(ids).mean(1)
        return {"y": scale * h, "parts": (h.sum(-1), None), "count": 3}


class Attention(nn.Module):
    """Fused attention with a mask that is computed, and a view of its output."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.bias = nn.Linear(8, 24), nn.Parameter(torch.randn(1, 2, 5, 5))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.view(*x.shape[:2], 2, 4).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        h = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.bias * 1.0)
        return h.transpose(1, 2).reshape(x.shape)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0][:, -1]


class FourRows(nn.Module):
    """Its code says how many rows there are."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(4, -1).flip(0)


class Best(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.argmax(1), x > 0


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Silent(nn.Module):
    def forward(self, x: Tensor) -> int:
        return len(x)


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 2).eval()


def test_a_closed_form_for_any_number_of_rows(tmp_path: Path) -> None:
    model = linear()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 1.0]]))
        model.bias.copy_(torch.tensor([10.0, 0.0]))
    written = tn.export_onnx(model, torch.randn(3, 4), tmp_path / "m.onnx")
    (y,) = run(tmp_path / "m.onnx", input=torch.ones(1, 4))
    np.testing.assert_allclose(y, [[20.0, 1.0]], rtol=1e-6)
    (y,) = run(tmp_path / "m.onnx", input=torch.ones(7, 4))
    assert y.shape == (7, 2)
    assert (written.path, written.size) == (tmp_path / "m.onnx", (tmp_path / "m.onnx").stat().st_size)
    assert written.tried == 5
    assert written.difference < 1e-5


def test_one_example_row_does_not_fix_the_number_of_rows(tmp_path: Path) -> None:
    written = tn.export_onnx(linear(), torch.randn(1, 4), tmp_path / "m.onnx")
    assert written.inputs[0].shape == (None, 4)
    assert run(tmp_path / "m.onnx", input=torch.ones(6, 4))[0].shape == (6, 2)


def test_arguments_and_keys_are_names(tmp_path: Path) -> None:
    model = Mixed().eval()
    x, ids = torch.randn(3, 4), torch.randint(10, (3, 5))
    written = tn.export_onnx(model, {"ids": ids, "x": x, "scale": 3.0}, tmp_path / "m.onnx")
    assert [(p.name, p.kind, p.shape) for p in written.inputs] == [
        ("ids", "int64", (None, 5)),
        ("x", "float32", (None, 4)),
    ]
    assert [(p.name, p.shape) for p in written.outputs] == [("y", (None, 8)), ("parts_0", (None,))]
    x, ids = torch.randn(2, 4), torch.randint(10, (2, 5))
    y, sums = run(tmp_path / "m.onnx", x=x, ids=ids)
    expected = model(x, ids, scale=3.0)
    torch.testing.assert_close(torch.from_numpy(y), expected["y"].detach())
    torch.testing.assert_close(torch.from_numpy(sums), expected["parts"][0].detach())
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)} == {"batch"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "x"),
    [
        (
            lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.GELU(), nn.Flatten()),
            torch.randn(2, 2, 5, 5),
        ),
        (Recurrent, torch.randn(2, 6, 3)),
        (Attention, torch.randn(2, 5, 8)),
    ],
    ids=["convolution", "recurrent", "attention"],
)
def test_layers_of_many_kinds(tmp_path: Path, make: Callable[[], nn.Module], x: Tensor) -> None:
    torch.manual_seed(0)
    model = make().eval()
    tn.export_onnx(model, x, tmp_path / "m.onnx")
    more = torch.cat([x, x + 1, x - 1])
    name = onnx.load(tmp_path / "m.onnx").graph.input[0].name
    (y,) = run(tmp_path / "m.onnx", **{name: more})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(y), model(more), rtol=1e-4, atol=1e-5)


def test_rows_that_the_code_fixes_stay_fixed(tmp_path: Path) -> None:
    written = tn.export_onnx(FourRows().eval(), torch.randn(4, 3), tmp_path / "m.onnx")
    assert written.inputs[0].shape == (4, 3)
    assert written.tried == 3
    x = torch.randn(4, 3)
    np.testing.assert_array_equal(run(tmp_path / "m.onnx", x=x)[0], x.flip(0).numpy())


def test_float64_is_held_to_more(tmp_path: Path) -> None:
    written = tn.export_onnx(linear().double(), torch.randn(3, 4, dtype=torch.float64), tmp_path / "m.onnx")
    assert written.outputs[0].kind == "float64"
    assert written.difference < 1e-14


def test_classes_and_truths_come_out_as_they_are(tmp_path: Path) -> None:
    written = tn.export_onnx(Best().eval(), torch.randn(6, 3), tmp_path / "m.onnx")
    assert [p.kind for p in written.outputs] == ["int64", "bool"]
    assert [p.name for p in written.outputs] == ["output_0", "output_1"]


def test_a_compact_model_is_a_smaller_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["thinnet.compaction._cost"], "SECONDS", 0.0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 200), nn.ReLU(), nn.Linear(200, 2)).eval()
    with torch.no_grad():
        model[2].weight[:, 5:] = 0
    x = torch.randn(8, 4)
    small, _ = tn.compact(model, x)
    before, after = (tn.export_onnx(m, x, tmp_path / f"{i}.onnx") for i, m in enumerate((model, small)))
    assert after.size < before.size / 4
    np.testing.assert_allclose(*(run(tmp_path / f"{i}.onnx", input=x)[0] for i in range(2)), rtol=1e-5, atol=1e-6)


def test_nothing_of_the_machine_is_in_the_file(tmp_path: Path) -> None:
    tn.export_onnx(Mixed().eval(), torch.randn(3, 4), tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    assert b"test_onnx" not in content
    assert b"site-packages" not in content


@pytest.mark.parametrize(
    ("model", "x", "error", "message"),
    [
        (nn.Dropout(), torch.ones(2), ValueError, "export_onnx: Dropout is in training mode, .* call model.eval"),
        (
            Random().eval(),
            torch.ones(2),
            tn.NotExportableError,
            "Random returns something else each time .* randomness",
        ),
        (Silent().eval(), torch.ones(2), tn.NotExportableError, "Silent returns no tensor"),
        (Branch().eval(), torch.ones(2), tn.NotExportableError, r"Branch cannot be written as ONNX .*data-dependent"),
        (nn.Linear(2, 1).eval(), torch.ones(3, 4), ValueError, "Linear does not run on `example_inputs`"),
        (nn.Linear(2, 1).eval(), "x", TypeError, "export_onnx: `example_inputs` must be a tensor, .* got str"),
        (linear().bfloat16(), torch.ones(2, 4).bfloat16(), tn.NotExportableError, r"no bfloat16 .* model\.float\(\)"),
    ],
    ids=["training", "random", "silent", "branch", "shape", "kind", "bfloat16"],
)
def test_what_cannot_be_exported_is_refused(
    tmp_path: Path, model: nn.Module, x: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tn.export_onnx(model, x, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_torch_says_nothing_while_a_model_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(tn.NotExportableError, match="Branch cannot be written as ONNX"):
        tn.export_onnx(Branch().eval(), torch.ones(2), tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_file_that_differs_is_refused_and_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = _session.Session.call

    def off(self: _session.Session, *given: Any) -> list[Tensor]:
        return [1.001 * tensor for tensor in call(self, *given)]

    (tmp_path / "m.onnx").write_text("older")
    monkeypatch.setattr(_session.Session, "call", off)
    with pytest.raises(tn.NotExportableError, match=r"its outputs differ by 1\.0e-03 of the largest, above 1e-04"):
        tn.export_onnx(linear(), torch.randn(3, 4), tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "older"


@pytest.mark.slow
def test_what_one_file_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onnx, "_LARGEST", 100)
    with pytest.raises(tn.NotExportableError, match="bytes are more than one ONNX file can hold"):
        tn.export_onnx(linear(), torch.randn(3, 4), tmp_path / "m.onnx")
