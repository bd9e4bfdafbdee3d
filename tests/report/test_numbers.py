import math

import pytest

from thinnet.report import number, share


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (0.41234, "0.412"),
        (-0.41234, "-0.412"),
        (3.14159, "3.14"),
        (31.4159, "31.4"),
        (31415.9, "31,416"),
        (3.2e7, "3.20e+07"),
        (1e-5, "1.00e-05"),
        (math.nan, "—"),
        (math.inf, "—"),
    ],
)
def test_numbers_have_the_digits_that_people_read(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 %"), (0.0042, "0.4 %"), (0.5, "50 %"), (1.0, "100 %"), (math.nan, "—")]
)
def test_shares_are_in_percent(value: float, text: str) -> None:
    assert share(value) == text
