import json
import math

from thinnet.tabular.features._path import FeaturePath, FeatureStep
from thinnet.tabular.features._path_json import path_from_json, path_to_json

STEPS = (
    FeatureStep(0.0, 0.5, 0.1, 3, 0.0, 5.0, False),
    FeatureStep(0.1, math.nan, math.nan, 3, 0.0, 5.0, True),
    FeatureStep(0.2, 0.36, 0.05, 2, 0.3, 4.0, False),
    FeatureStep(0.4, 0.4, 0.05, 1, 0.6, 3.0, False),
)
PATH = FeaturePath(STEPS, {"a": math.inf, "b": 0.4, "c": 0.2, "d": 0.8}, ("a",), strength=0.4, best=0.2)


def test_a_path_is_json_and_comes_back() -> None:
    back = path_from_json(json.loads(json.dumps(path_to_json(PATH), allow_nan=False)))
    assert repr(back) == repr(PATH)  # NaN differs from itself
    assert list(back.leaves) == list(PATH.leaves)
