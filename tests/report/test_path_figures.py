from dataclasses import replace

import numpy as np
import pytest

from thinnet.report import PathResults
from thinnet.report._path_figures import FAR, error_figure, error_range, line_figure


def test_the_band_is_one_standard_error_around_the_error(path_results: PathResults) -> None:
    band, line, *_ = error_figure(path_results).data
    np.testing.assert_allclose(line.x, [0.001, 0.01, 0.1, 1.0])
    np.testing.assert_allclose(line.y, [0.45, 0.40, 0.41, 0.69])
    np.testing.assert_allclose(band.y, [0.47, 0.42, 0.43, 0.69, 0.69, 0.39, 0.38, 0.43])
    assert list(line.customdata) == [4, 3, 2, 0]


def test_best_and_chosen_are_marked_once_each(path_results: PathResults) -> None:
    marks = {trace.text[0]: (trace.x[0], trace.y[0]) for trace in error_figure(path_results).data if trace.text}
    assert marks == {"best": (0.01, 0.40), "chosen": (0.1, 0.41)}
    [mark] = [trace for trace in error_figure(replace(path_results, strength=0.01)).data if trace.text]
    assert (mark.text[0], mark.x[0]) == ("best and chosen", 0.01)


def test_a_point_at_strength_0_is_a_line_as_no_logarithm_has_a_place_for_it(path_results: PathResults) -> None:
    [line] = error_figure(path_results).layout.shapes
    assert (line.y0, line.y1) == (0.50, 0.50)
    far = path_results.points.assign(held_out=[9.0, 0.45, 0.40, 0.41, 0.69])
    assert not error_figure(replace(path_results, points=far)).layout.shapes


def test_the_axis_holds_the_choice_and_not_an_error_far_above(path_results: PathResults) -> None:
    low, high = error_range(path_results)
    assert 0 <= low < 0.38
    assert high > 0.43
    far = path_results.points.assign(held_out=[0.50, 0.45, 0.40, 0.41, 1e6])
    low, high = error_range(replace(path_results, points=far))
    assert low < 0.38 and 0.43 < high < 0.43 + 2 * FAR * (0.43 - 0.38)


def test_an_axis_without_an_error_is_still_one(path_results: PathResults) -> None:
    gone = path_results.points.assign(held_out=[float("nan")] * 5)
    assert error_range(replace(path_results, points=gone)) == (0.0, 1.0)


@pytest.mark.parametrize(("column", "factor", "shape"), [("features", 1.0, "hv"), ("zeros", 100.0, "linear")])
def test_a_column_against_strength(path_results: PathResults, column: str, factor: float, shape: str) -> None:
    figure = line_figure(path_results, column, "title", factor=factor, suffix=" %")
    line, chosen = figure.data
    values = factor * path_results.points[column].to_numpy()
    np.testing.assert_allclose(line.y, values[1:])
    assert (line.line.shape, list(chosen.x), list(chosen.y)) == (shape, [0.1], [values[3]])
    assert figure.layout.xaxis.type == "log"
    np.testing.assert_allclose(figure.layout.yaxis.range, [0, 1.08 * values[1:].max()])
