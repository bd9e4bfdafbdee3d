from dataclasses import replace

import numpy as np
import pytest

from thinnet.report import PathResults
from thinnet.report._path_figures import error_figure, error_range, line_figure


def with_points(results: PathResults, **columns: list[float]) -> PathResults:
    return replace(results, points=results.points.assign(**columns))


def test_the_axis_of_the_error_shows_the_band_of_a_path_that_goes_nowhere_far(path_results: PathResults) -> None:
    results = with_points(path_results, held_out=[0.50, 0.45, 0.40, 0.41, 0.52])
    low, high = error_range(results)
    assert 0.3 < low < 0.38 and 0.52 < high < 0.6


def test_the_axis_of_the_error_never_begins_below_zero_where_no_error_does(path_results: PathResults) -> None:
    assert error_range(with_points(path_results, held_out=[0.02] * 5))[0] == 0
    assert error_range(with_points(path_results, held_out=[-0.02] * 5))[0] < -0.04


def test_an_error_of_nothing_has_an_axis_all_the_same(path_results: PathResults) -> None:
    assert error_range(with_points(path_results, held_out=[np.nan] * 5)) == (0.0, 1.0)


def test_the_band_is_one_standard_error_to_either_side(path_results: PathResults) -> None:
    band = error_figure(path_results).data[0]
    assert list(band.x) == [0.001, 0.01, 0.1, 1.0, 1.0, 0.1, 0.01, 0.001]
    np.testing.assert_allclose(band.y, [0.47, 0.42, 0.43, 0.69, 0.69, 0.39, 0.38, 0.43])


def test_one_mark_where_the_best_point_is_the_chosen_one(path_results: PathResults) -> None:
    marks = error_figure(replace(path_results, strength=0.01)).data[2:]
    assert [(mark.text, mark.x) for mark in marks] == [(("best and chosen",), (0.01,))]


@pytest.mark.parametrize(("column", "shape"), [("features", "hv"), ("norm", "linear")])
def test_a_count_goes_in_steps(path_results: PathResults, column: str, shape: str) -> None:
    line, chosen = line_figure(path_results, column, "title", factor=10, suffix=" %").data
    assert line.line.shape == shape
    assert list(line.y) == [10 * value for value in path_results.points[column][1:]]
    assert (list(chosen.x), list(chosen.y)) == ([0.1], [10 * path_results.points[column][3]])
