import math

import numpy as np
import pytest

from thinnet.report import Curve
from thinnet.report._figures import common_top, curve_figure, histogram, weights_figure

NAN = math.nan


def test_training_is_dashed_and_held_out_solid() -> None:
    train, held_out, kept = curve_figure(Curve("L1", [1, 2, 3], [3, 2, 1], [3, 2, 4], 2), "RMSE", "best", 4.0).data
    assert (train.line.dash, held_out.line.dash) == ("6px,4px", "solid")
    assert (list(train.y), list(held_out.y)) == ([3, 2, 1], [3, 2, 4])
    assert (list(kept.x), list(kept.y)) == ([2], [2])


def test_what_was_not_measured_is_not_drawn() -> None:
    train, held_out, *kept = curve_figure(Curve("L1", [1, 2, 3], [NAN, NAN, 1], [3, NAN, 4], 2), "RMSE", "best", 4).data
    assert (list(train.x), train.mode) == ([3], "markers")
    assert (list(held_out.x), held_out.mode) == ([1, 3], "lines")
    assert kept == [], "the kept epoch has no held-out loss to stand at"


def test_a_diverging_start_does_not_squash_the_rest() -> None:
    losses = [1e6, *np.linspace(2, 1, 19)]
    assert common_top([Curve("none", range(20), losses, losses, 19)]) < 3


def test_the_common_axis_shows_the_highest_late_loss_of_all() -> None:
    low, high = (Curve("L1", [1, 2], [NAN, 1.0], [1.0, worst], 1) for worst in (1.0, 7.0))
    assert common_top([low, high]) == pytest.approx(7.42)
    assert common_top([Curve("L1", [], [], [], 0)]) == 1.0


def test_zeros_and_bins_together_are_all_the_weights() -> None:
    w = np.random.default_rng(0).normal(size=(30, 30))
    w[w < 0.3] = 0
    zeros, edges, shares = histogram(w, reach=1.0)
    assert zeros == pytest.approx(100 * sum(v == 0 for v in w.ravel()) / w.size)
    assert zeros + shares.sum() == pytest.approx(100), "weights beyond the reach are counted in the outermost bins"
    assert edges[0] == -1 and edges[-1] == 1


def test_only_exact_zeros_are_zeros() -> None:
    zeros, _, shares = histogram(np.array([1e-30, -1e-30]), reach=1.0)
    assert (zeros, shares.sum()) == (0, 100)


def test_zeros_have_a_bar_of_their_own_with_its_share() -> None:
    bar, rest = weights_figure(np.array([[0.0, 0.0], [0.0, 0.5]]), "best", reach=1.0, top=30).data
    assert (list(bar.y), list(bar.text)) == ([75.0], ["75 %"])
    assert sum(rest.y) == 25
