import pandas as pd
import pytest

from thinnet.report import Curve, Results


def test_a_curve_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match=r"curve 'L1': .* got 3, 2 and 3; put NaN"):
        Curve("L1", [1, 2, 3], [0.1, 0.2], [0.1, 0.2, 0.3], 1)


def test_a_leaderboard_without_a_column_is_refused_by_name(leaderboard: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="missing: zeros"):
        Results("t", "classification", "log loss", {}, leaderboard.drop(columns="zeros"), [], [], [])


def test_an_empty_leaderboard_is_refused(leaderboard: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no rows"):
        Results("t", "classification", "log loss", {}, leaderboard.iloc[:0], [], [], [])
