import pandas as pd

from thinnet.report import finding


def only(leaderboard: pd.DataFrame, *names: str) -> pd.DataFrame:
    return leaderboard[leaderboard["regularizers"].isin(names)]


def test_it_says_that_the_unregularized_network_memorised(leaderboard: pd.DataFrame) -> None:
    assert finding(leaderboard, "log loss") == (
        "The best regularized network (dropout 0.3 + L1 0.002) has held-out log loss 0.410; the best network without "
        "regularization 0.550 — it memorised: 0.010 on its training rows."
    )


def test_it_accuses_nobody_whose_gap_is_small(leaderboard: pd.DataFrame) -> None:
    honest = leaderboard.assign(train=leaderboard["held_out"] - 0.05)
    assert "memorised" not in finding(honest, "log loss")
    assert finding(honest, "log loss").endswith("without regularization 0.550.")


def test_it_admits_that_regularization_did_not_help(leaderboard: pd.DataFrame) -> None:
    won = leaderboard.assign(rank=leaderboard["regularizers"].ne("none").cumsum() + 1)
    won.loc[won["regularizers"] == "none", ["rank", "held_out"]] = [1, 0.3]
    assert finding(won, "RMSE") == (
        "Regularization did not help here: the network without it has held-out RMSE 0.300; "
        "the best regularized one (dropout 0.3 + L1 0.002) has 0.410."
    )


def test_it_needs_no_unregularized_network(leaderboard: pd.DataFrame) -> None:
    sentence = finding(only(leaderboard, "L2 0.01"), "RMSE")
    assert sentence == "The best network (L2 0.01) has held-out RMSE 0.450."


def test_it_needs_no_regularized_network(leaderboard: pd.DataFrame) -> None:
    sentence = finding(only(leaderboard, "none"), "RMSE")
    assert sentence == "Regularization did not help here: the network without it has held-out RMSE 0.550."


def test_it_goes_by_rank_whatever_the_order_of_the_rows(leaderboard: pd.DataFrame) -> None:
    assert finding(leaderboard[::-1], "log loss") == finding(leaderboard, "log loss")
