from pathlib import Path

import pytest

from thinnet.cli._errors import InputError
from thinnet.cli._model import beside, check_model


def test_a_folder_is_taken_and_what_is_none_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "churn").mkdir()
    check_model(tmp_path / "churn")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file, not a model folder\. There is 'churn'\.$"):
        check_model(tmp_path / "file")
    with pytest.raises(InputError, match=r"chrun is not a model folder\. Did you mean 'churn'\?$"):
        check_model(tmp_path / "chrun")
    with pytest.raises(InputError, match=r"m is not a model folder\.$"):
        check_model(tmp_path / "nowhere" / "m")


def test_a_place_beside_a_folder_has_its_whole_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path / "m")
    assert beside(Path("v1.2"), "-compact") == Path("v1.2-compact")
    assert beside(Path("."), ".onnx") == tmp_path / "m.onnx"
