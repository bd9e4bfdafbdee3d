import json
from pathlib import Path

import pandas as pd
import pytest

from thinnet.cli import _demo


@pytest.mark.slow
def test_demo_fits_scores_reports_and_can_be_predicted_from(thinnet, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    ended = thinnet("demo", "--out", out, "--json")
    assert ended.status == 0, ended.err
    results = json.loads(ended.out)
    assert results["test"].keys() == {"log loss", "accuracy"}
    assert {"none"} < {row["regularizers"] for row in results["leaderboard"]}
    assert f"next: thinnet predict {out} {out / 'unseen.csv'}\n" in ended.err
    assert (out / "report.html").exists()
    unseen = pd.read_csv(out / "unseen.csv")
    assert len(unseen) == 1797 - _demo.ROWS
    assert thinnet("predict", out, out / "unseen.csv").out.count("\n") == len(unseen) + 1


def test_demo_leaves_a_folder_of_others_alone(thinnet, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "holds no thinnet model" in thinnet("demo", "--out", tmp_path).refused()
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
