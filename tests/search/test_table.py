import math

import pytest

from thinnet.search._table import path_frame, path_text

from .networks import point


def test_a_row_a_point_with_its_marks() -> None:
    points = [
        point(0.0, [2.0, 4.0]),
        point(0.5, [0.0, 2.0], rounds=12),
        point(1.25, [0.5, 2.5]),
        point(2.0, [math.nan, math.nan], diverged=True),
    ]
    assert [line.split() for line in path_text(points).splitlines()] == [
        ["strength", "error", "se", "nonzero", "groups", "norm", "rounds"],
        ["0", "3", "1", "2", "2", "2.236", "3"],
        ["0.5", "1", "1", "2", "2", "2.236", "12", "best"],
        ["1.25", "1.5", "1", "2", "2", "2.236", "3", "one_se"],
        ["2", "diverged", "2", "2", "2.236", "3"],
    ]
    frame = path_frame(points)
    assert list(frame) == [
        "strength", "error", "se", "nonzero", "zeros", "norm", "rounds", "diverged", "groups of weight",
    ]  # fmt: skip
    assert frame["error"].tolist()[:3] == [3.0, 1.0, 1.5]
    assert frame["diverged"].tolist() == [False, False, False, True]
    assert frame["groups of weight"].tolist() == [2, 2, 2, 2]


def test_both_marks_on_one_point_and_none_where_all_diverged() -> None:
    assert path_text([point(0.5, [1.0, 1.5])]).endswith("  best, one_se")
    assert "best" not in path_text([point(0.5, [math.nan], diverged=True)])


def test_columns_are_aligned() -> None:
    lines = path_text([point(0.5, [1.0], rounds=100), point(0.25, [2.0], rounds=1)]).splitlines()
    ends = [line.index(cell) + len(cell) for line, cell in zip(lines, ("rounds", "100", "  1"), strict=True)]
    assert ends[1:] == pytest.approx([ends[0]] * 2)
