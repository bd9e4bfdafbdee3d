from typing import Any

import numpy as np
import pandas as pd
import pytest

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import learn
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model._preprocessing import from_folder, to_folder

TABLE = pd.DataFrame(
    {
        "n": [1.0, None, 3.0, 7.5] * 40,
        "k": range(160),
        "c": ["a", None, "b", "c"] * 39 + ["d"] * 4,
        "d": pd.to_datetime(["2020", "2021", "2022", "2022"] * 40),
        "flag": [True, False, True, True] * 40,
        "one": 1,
    }
)


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (list(TABLE), {"n_bins": 4, "n_frequencies": 6}),
        (list(TABLE), {"n_bins": 0}),
        (["c", "flag"], {}),
        (["n", "k"], {"n_frequencies": 3}),
        (["flag", "k"], {"n_bins": 3}),
    ],
    ids=["everything", "no bins", "words", "numbers", "no gaps"],
)
def test_schema_and_encoder_come_back(names: list[str], settings: dict[str, Any]) -> None:
    schema, frame = learn(TABLE[names])
    encoder = Encoder.fit(frame, schema, **settings)
    back_schema, back = from_folder(*to_folder(schema, encoder))
    assert back_schema == schema
    assert back.columns == encoder.columns
    rows = made_up(encoder, schema, 200)
    np.testing.assert_array_equal(back.encode(rows), encoder.encode(rows))


def test_every_number_is_kept_in_full() -> None:
    schema, frame = learn(TABLE)
    _, arrays = to_folder(schema, Encoder.fit(frame, schema, n_frequencies=6))
    assert {str(a.dtype) for name, a in arrays.items() if "counts" not in name} == {"float64"}
