import io

import pandas as pd
import pytest
from rich.console import Console

from thinnet.cli._leaderboard_table import leaderboard_table


@pytest.fixture
def leaderboard() -> pd.DataFrame:
    rows = [(i, f"L2 {i}.0e-3", 0.3, 0.4, 0.1, 0.25, 0.0, 9) for i in range(1, 31)]
    rows[0] = (1, "dropout 0.25 + [bold]L1[/bold] 2.0e-4", 0.35, 0.39, 0.04, 0.71, 0.5, 9)
    rows[24] = (25, "none", 0.01, 0.9, 0.89, 0.0, 0.0, 9)
    columns = ["rank", "regularizers", "train", "held_out", "gap", "zeros", "weight", "epochs"]
    return pd.DataFrame(rows, columns=columns)


def printed(leaderboard: pd.DataFrame) -> list[str]:
    console = Console(file=io.StringIO(), width=120, markup=False)
    console.print(leaderboard_table(leaderboard, "log loss"))
    return console.file.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_a_row_says_it_all(leaderboard: pd.DataFrame) -> None:
    [best] = [cells(line) for line in printed(leaderboard) if line.startswith("│  1 │")]
    assert best == ["1", "dropout 0.25 + [bold]L1[/bold] 2.0e-4", "0.350", "0.390", "0.040", "71 %", "50 %"]


def test_the_unregularized_network_is_always_there(leaderboard: pd.DataFrame) -> None:
    rows = [cells(line) for line in printed(leaderboard) if line.startswith("│")]
    assert len(rows) == 11
    assert rows[-1] == ["25", "no regularization", "0.010", "0.900", "0.890", "0 %", ""]
    assert any("and 19 more in the report" in line for line in printed(leaderboard))
