import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from thinnet.cli._json import to_json


def test_json_holds_no_nan_and_no_numpy() -> None:
    rows = pd.DataFrame({"rank": [1, 2], "train": [np.nan, 0.25]}).to_dict("records")
    text = to_json({"rows": rows, "score": np.float32(0.5), "classes": np.array(["a"])})
    assert "\n" not in text
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (read["rows"][0]["train"], read["rows"][1]["rank"], read["score"], read["classes"]) == (None, 2, 0.5, ["a"])


def test_dates_and_letters_of_any_alphabet_are_text() -> None:
    assert to_json({"prediction": date(2026, 1, 2), "名": "é"}) == '{"prediction": "2026-01-02", "名": "é"}'
