import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from thinnet._plain_json import to_plain, with_nan

VALUES = [
    (np.float32(0.5), 0.5),
    (np.float64(0.1), 0.1),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.array([[1.0, np.nan], [np.inf, -np.inf]]), [[1.0, None], [None, None]]),
    (float("nan"), None),
    ((1, [2.5, None]), [1, [2.5, None]]),
    ({1: {"a": np.zeros(2, dtype=int)}}, {"1": {"a": [0, 0]}}),
    (False, False),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=[repr(value) for value, _ in VALUES])
def test_values_become_jsons_own(value: object, expected: object) -> None:
    found = to_plain(value)
    assert found == expected
    assert json.dumps(found, allow_nan=False) == json.dumps(expected)


def test_what_json_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"JSON cannot hold .*date\(2026, 1, 2\), a date"):
        to_plain({"day": [date(2026, 1, 2)]})


def test_what_json_cannot_hold_may_be_turned_into_what_it_can() -> None:
    assert to_plain({"day": [date(2026, 1, 2)], "at": Path("a")}, str) == {"day": ["2026-01-02"], "at": "a"}


def test_nan_comes_back_wherever_it_was() -> None:
    values = {"losses": [0.5, math.nan], "inner": {"gap": math.nan, "name": "a"}, "pairs": [["b", math.nan]]}
    again = with_nan(json.loads(json.dumps(to_plain(values))))
    np.testing.assert_equal(again, values)
