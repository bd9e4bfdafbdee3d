import json
from pathlib import Path

import pytest

from thinnet.errors import ModelFolderError
from thinnet.tabular import ThinNetClassifier, ThinNetRegressor, load
from thinnet.tabular.model import _folder

FOLDERS = Path(__file__).parent / "model" / "folders_of_format_3"


@pytest.mark.parametrize(("name", "kind"), [("classifier", ThinNetClassifier), ("regressor", ThinNetRegressor)])
def test_the_estimator_is_of_the_kind_that_was_saved(name: str, kind: type) -> None:
    model = load(FOLDERS / name)
    assert type(model) is kind
    assert model.hidden == (6,)
    assert model.n_features_in_ == len(model.feature_names_in_) == 8


def test_a_kind_of_a_later_version_is_named(tmp_path: Path) -> None:
    place = load(FOLDERS / "regressor").save(tmp_path / "model")
    fields = json.loads((place / "model.json").read_text()) | {"estimator": "ThinNetRanker"}
    del fields["seal"]
    (place / "model.json").write_text(json.dumps(fields | {"seal": _folder._seal(fields)}))
    with pytest.raises(ModelFolderError, match="holds a ThinNetRanker, which this version of thinnet does not know"):
        load(place)


def test_parameters_that_were_renamed_have_the_values_that_were_saved() -> None:
    saved = json.loads((FOLDERS / "classifier" / "model.json").read_text())["params"]
    model = load(FOLDERS / "classifier")
    assert (model.n_configurations, model.n_frequencies) == (saved["n_mixes"], saved["n_waves"])
