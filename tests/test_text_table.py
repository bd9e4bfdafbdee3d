import pytest

from thinnet._text_table import text_table

ROWS = [("name", "n", "rule"), ("a", "100", "L1(0.1)"), ("longer", "5", "")]


@pytest.mark.parametrize(
    ("left", "lines"),
    [
        ((0,), ["name      n     rule", "a       100  L1(0.1)", "longer    5"]),
        ((0, 2), ["name      n  rule", "a       100  L1(0.1)", "longer    5"]),
        ((), ["  name    n     rule", "     a  100  L1(0.1)", "longer    5"]),
    ],
)
def test_columns_are_aligned_and_lines_end_without_spaces(left: tuple[int, ...], lines: list[str]) -> None:
    assert text_table(ROWS, left=left).split("\n") == lines


def test_rows_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        text_table([("a", "b"), ("c", "d", "e")])
