import math

import torch

from thinnet.search._figure import SHOWN, path_figure

from .networks import point


def masks(*alive: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.tensor(alive, dtype=torch.bool)}


def traces(figure, row: int) -> list:
    axis = "y" if row == 1 else f"y{row}"
    return [trace for trace in figure.data if trace.yaxis == axis]


def test_errors_with_their_band_and_what_was_chosen() -> None:
    points = [
        point(0.0, [5.0, 7.0]), point(0.5, [0.0, 2.0]), point(1.0, [0.5, 2.5]), point(2.0, [math.nan], diverged=True),
        point(4.0, [8.0, 9.0]),
    ]  # fmt: skip
    figure = path_figure(points, {})
    band, errors, best, one_se = traces(figure, 1)
    assert (list(errors.x), list(errors.y)) == ([0.5, 1.0, 4.0], [1.0, 1.5, 8.5])  # what diverged has no error
    assert list(band.y) == [0.0, 0.5, 8.0, 9.0, 2.5, 2.0]
    assert (best.name, list(best.x), list(best.y)) == ("best", [0.5], [1.0])
    assert (one_se.name, list(one_se.x)) == ("one standard error", [1.0])
    (line,) = figure.layout.shapes  # a strength of zero is not on a logarithmic axis
    assert line.y0 == line.y1 == 6.0
    assert "at 0" in [annotation.text for annotation in figure.layout.annotations]


def test_a_dense_best_is_named_at_its_line() -> None:
    figure = path_figure([point(0.0, [1.0, 2.0]), point(0.5, [8.0, 9.0])], {})
    assert "at 0: best: one standard error" in [annotation.text for annotation in figure.layout.annotations]
    assert [trace.name for trace in traces(figure, 1)] == ["± one standard error", "error"]


def test_groups_stand_in_the_order_in_which_they_leave_by_name() -> None:
    points = [
        point(1.0, [1.0], alive=masks(1, 1, 1)), point(2.0, [2.0], alive=masks(1, 0, 1)),
        point(4.0, [3.0], alive=masks(0, 0, 1)),
    ]  # fmt: skip
    figure = path_figure(points, {"weight": ["a", "b", "c"]})
    (bars,) = [trace for trace in figure.data if trace.type == "bar"]
    assert list(bars.y) == ["b", "a", "c"]
    assert list(bars.x) == [2.0, 4.0, 4.0]  # the one that never leaves ends with the axis
    left = traces(figure, 3)[0]
    assert (list(left.x), list(left.y)) == ([1.0, 2.0, 4.0], [3, 2, 1])


def test_of_many_groups_the_last_to_leave_are_shown() -> None:
    count = SHOWN + 5
    points = [point(1.0, [1.0], alive=masks(*[1] * count)), point(2.0, [1.0], alive=masks(*[0] * 5, *[1] * SHOWN))]
    (bars,) = [trace for trace in path_figure(points, {}).data if trace.type == "bar"]
    assert sorted(map(int, bars.y)) == list(range(5, count))
