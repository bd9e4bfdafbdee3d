import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from thinnet.report import Curve, Weights
from thinnet.tabular.model._fit_record import FitRecord, from_folder, to_folder

RECORD = FitRecord(
    target="answer",
    features=["a", "b"],
    facts={"rows": "90"},
    notes=["column 'c' left out: constant"],
    held_out_score=0.1 + 0.2,
    leaderboard=pd.DataFrame(
        {"rank": [1, 2], "regularizers": ["L2(0.1)", "none"], "train": [0.1, np.nan], "held_out": [0.25, np.nan]}
    ),
    curves=[Curve("L2(0.1)", [0.5, 1.0], [0.4, np.nan], [0.5, 0.3], 1.0)],
    weights=[Weights("L2(0.1)", {"layer 1": np.arange(6, dtype=np.float32).reshape(2, 3)})],
)
PATH = pd.DataFrame({"strength": [1.0, 0.5], "held_out": [np.nan, 0.2], "chosen": [False, True]})
CHOSEN = replace(RECORD, features=None, feature_path=PATH, feature_strengths={"a": 0.5, "b": float("inf")})


def back(record: FitRecord) -> FitRecord:
    settings, arrays = to_folder(record)
    return from_folder(json.loads(json.dumps(settings, allow_nan=False)), arrays)


def same(one: Any, other: Any) -> None:
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
    else:
        assert repr(one) == repr(other)


def test_a_record_comes_back() -> None:
    for record in (RECORD, CHOSEN):
        for field in fields(FitRecord):
            if field.name != "weights":
                same(getattr(back(record), field.name), getattr(record, field.name))


def test_weights_keep_their_type_and_layers() -> None:
    (weights,) = back(RECORD).weights
    assert (weights.name, list(weights.layers)) == ("L2(0.1)", ["layer 1"])
    assert weights.layers["layer 1"].dtype == np.float32
    np.testing.assert_array_equal(weights.layers["layer 1"], RECORD.weights[0].layers["layer 1"])
