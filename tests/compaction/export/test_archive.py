import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.compaction.export import _archive


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor, *, shift: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
        return {"y": scale * self.linear(x) + shift}


class FourRows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(4, -1).flip(0)


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).eval()


def load(path: Path) -> nn.Module:
    return torch.export.load(path).module()


def test_the_archive_is_the_model_for_any_number_of_rows(tmp_path: Path) -> None:
    net = model()
    written = tn.export_archive(net, torch.randn(4, 3), tmp_path / "m.pt2")
    again = load(tmp_path / "m.pt2")
    for rows in (1, 2, 9):
        x = torch.randn(rows, 3)
        torch.testing.assert_close(again(x), net(x))
    assert written.format == "torch.export archive"
    assert written.size == (tmp_path / "m.pt2").stat().st_size
    assert [port.shape for port in written.inputs + written.outputs] == [(None, 3), (None, 2)]


@pytest.mark.slow
def test_it_runs_where_the_code_is_not(tmp_path: Path) -> None:
    net = Named().eval()
    x, shift = torch.randn(4, 3), torch.randn(4, 2)
    tn.export_archive(net, {"x": x, "shift": shift, "scale": 2.0}, tmp_path / "m.pt2")
    torch.save({"x": x, "shift": shift}, tmp_path / "x.pt")
    code = (
        "import torch; given = torch.load('x.pt'); again = torch.export.load('m.pt2').module();"
        "torch.save(again(**given, scale=2.0)['y'].detach(), 'y.pt')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    torch.testing.assert_close(torch.load(tmp_path / "y.pt"), net(x, shift=shift, scale=2.0)["y"].detach())


def test_the_archive_holds_no_rows_no_paths_and_no_pickle(tmp_path: Path) -> None:
    x = torch.full((2, 3), 1234.5)
    tn.export_archive(model(), x, tmp_path / "m.pt2")
    with zipfile.ZipFile(tmp_path / "m.pt2") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert not any(x.numpy().tobytes() in content for content in contents.values())
    assert not any(b"site-packages" in content or b"test_archive" in content for content in contents.values())
    configs = [json.loads(content) for name, content in contents.items() if name.endswith("config.json")]
    payloads = [payload for config in configs for payload in config["config"].values()]
    assert len(payloads) == 4
    assert not any(payload["use_pickle"] for payload in payloads)
    assert [content for name, content in contents.items() if "sample_inputs" in name] == [b""]


def test_rows_that_the_code_fixes_stay_fixed(tmp_path: Path) -> None:
    written = tn.export_archive(FourRows().eval(), torch.randn(4, 3), tmp_path / "m.pt2")
    assert written.inputs[0].shape == (4, 3)
    x = torch.randn(4, 3)
    assert torch.equal(load(tmp_path / "m.pt2")(x), x.flip(0))


def test_float64_and_low_precision(tmp_path: Path) -> None:
    for kind in (torch.float64, torch.bfloat16):
        net, x = model().to(kind), torch.randn(4, 3).to(kind)
        assert tn.export_archive(net, x, tmp_path / "m.pt2").difference == 0
        assert torch.equal(load(tmp_path / "m.pt2")(x), net(x))


@pytest.mark.parametrize(
    ("net", "error", "message"),
    [
        (nn.Dropout(), ValueError, "export_archive: Dropout is in training mode"),
        (Random().eval(), tn.NotExportableError, "Random returns something else each time it is called"),
        (
            Branch().eval(),
            tn.NotExportableError,
            r"Branch cannot be written as a torch\.export archive .*data-dependent",
        ),
    ],
    ids=["training", "random", "branch"],
)
def test_what_cannot_be_exported_is_refused(
    tmp_path: Path, net: nn.Module, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tn.export_archive(net, torch.ones(2, 3), tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_is_refused_and_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.pt2").write_text("older")

    def off(net: Any, inputs: Any) -> list[Tensor]:
        return [torch.zeros(tensor.shape[0], 2) for tensor in inputs.tensors()]

    monkeypatch.setattr(_archive, "run", off)
    with pytest.raises(tn.NotExportableError, match=r"its outputs differ by 1\.0e\+00 of the largest, above 1e-05"):
        tn.export_archive(model(), torch.randn(4, 3), tmp_path / "m.pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt2"]
    assert (tmp_path / "m.pt2").read_text() == "older"


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"archives named \.pt2 only, got .*m\.zip; name it so"):
        tn.export_archive(model(), torch.ones(2, 3), tmp_path / "m.zip")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"export_archive: there is no folder .*nowhere; make it first"):
        tn.export_archive(model(), torch.ones(2, 3), tmp_path / "nowhere" / "m.pt2")
