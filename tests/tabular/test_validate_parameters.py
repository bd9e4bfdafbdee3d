from typing import Any

import pytest

from thinnet.tabular import ThinNetClassifier, ThinNetRegressor

SMALL: dict[str, Any] = {
    "n_configurations": 4,
    "n_rounds": 1,
    "cv": 2,
    "hidden": (8,),
    "max_steps": 60,
    "time_limit": None,
    "random_state": 0,
}
BOTH = pytest.mark.parametrize("kind", [ThinNetClassifier, ThinNetRegressor])


@BOTH
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_configurations", 0, r"`n_configurations` must be a whole number >= 1, got 0"),
        ("n_rounds", 1.5, r"`n_rounds` must be a whole number >= 1, got 1\.5"),
        ("cv", 1, r"`cv` must be a whole number >= 2, got 1"),
        ("max_steps", 0, r"`max_steps` must be a whole number >= 1, got 0"),
        ("n_bins", -1, r"`n_bins` must be a whole number >= 0, got -1"),
        ("n_frequencies", "many", r"`n_frequencies` must be a whole number >= 0, got 'many'"),
        ("batch_size", 0, r"`batch_size` must be a whole number >= 1, got 0"),
        ("time_limit", 0, r"`time_limit` must be a number of seconds > 0, or None, got 0"),
        ("time_limit", "1 h", r"`time_limit` must be a number of seconds > 0, or None, got '1 h'"),
        ("time_limit", float("nan"), r"`time_limit` must be a number of seconds > 0, or None, got nan"),
        ("hidden", 8, r"`hidden` must be a sequence of whole numbers >= 1, got 8"),
        ("hidden", (8, 0), r"`hidden` must be a sequence of whole numbers >= 1, got \(8, 0\)"),
    ],
)
def test_bad_parameters_are_refused_by_name(kind: type, name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**SMALL | {name: value}).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
