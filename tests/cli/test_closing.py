import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from thinnet.cli._closing import closing_table, to_json


@pytest.fixture
def leaderboard() -> pd.DataFrame:
    rows = [(i, f"L2 {i}.0e-3", 0.3, 0.4, 0.1, 0.25, 0.0, 9) for i in range(1, 31)]
    rows[0] = (1, "dropout 0.25 + [bold]L1[/bold] 2.0e-4", 0.35, 0.39, 0.04, 0.71, 0.5, 9)
    rows[24] = (25, "none", 0.01, 0.9, 0.89, 0.0, 0.0, 9)
    columns = ["rank", "regularizers", "train", "held_out", "gap", "zeros", "weight", "epochs"]
    return pd.DataFrame(rows, columns=columns)


def printed(leaderboard: pd.DataFrame) -> list[str]:
    console = Console(file=io.StringIO(), width=120, markup=False)
    console.print(closing_table(leaderboard, "log loss"))
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


def test_json_holds_no_nan_and_no_numpy(leaderboard: pd.DataFrame) -> None:
    leaderboard.loc[0, "train"] = np.nan
    text = to_json({"rows": leaderboard.to_dict("records"), "score": np.float32(0.5), "classes": np.array(["a"])})
    assert "\n" not in text
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (read["rows"][0]["train"], read["rows"][1]["rank"], read["score"], read["classes"]) == (None, 2, 0.5, ["a"])
