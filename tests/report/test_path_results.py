from collections.abc import Callable
from dataclasses import replace

import pytest

from thinnet.report import PathResults


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"points": r.points.drop(columns="se")}, r"the points need the columns .*; missing: se\."),
        (lambda r: {"points": r.points[:0]}, "the path has no points"),
        (lambda r: {"points": r.points[::-1]}, "must be >= 0 and rise"),
        (lambda r: {"chosen": ["gone"]}, "the chosen feature 'gone' is not among"),
        (lambda r: {"strength": 0.2}, r"`strength` must be the strength of one of the points, got 0\.2"),
        (lambda r: {"best": 7.0}, r"`best` must be the strength of one of the points, got 7\.0"),
    ],
)
def test_what_is_no_path_is_refused(
    path_results: PathResults, change: Callable[[PathResults], dict], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(path_results, **change(path_results))
