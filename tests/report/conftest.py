import numpy as np
import pandas as pd
import pytest

from thinnet.report import Curve, PathResults, Results, Weights

BEST = "dropout 0.3 + L1 0.002"
EVIL = "</script><script>alert(1)</script>"
STRENGTHS = [0.0, 0.001, 0.01, 0.1, 1.0]


@pytest.fixture
def leaderboard() -> pd.DataFrame:
    rows = [(1, BEST, 0.35, 0.41, 0.06, 0.62, 0.6, 50), (2, "L2 0.01", 0.3, 0.45, 0.15, 0.0, 0.4, 40)]
    rows += [(3 + i, f"L2 0.0{i + 2}", 0.3, 0.46 + i / 100, 0.16 + i / 100, 0.0, 0.0, 40) for i in range(15)]
    rows += [(18, "none", 0.01, 0.55, 0.54, 0.0, 0.0, 12)]
    columns = ["rank", "regularizers", "train", "held_out", "gap", "zeros", "weight", "epochs"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def results(leaderboard: pd.DataFrame) -> Results:
    rng = np.random.default_rng(0)
    sparse = rng.normal(0, 0.1, (20, 10))
    sparse[:15] = 0
    return Results(
        title=f"Churn {EVIL}",
        task="classification",
        metric="log loss",
        facts={"Rows": "7,043", f"Column {EVIL}": EVIL},
        leaderboard=leaderboard,
        curves=[
            Curve(BEST, [1, 2, 3], [0.7, 0.5, 0.4], [0.7, 0.5, 0.41], 3),
            Curve("none", [1, 2, 3], [0.6, float("nan"), 0.01], [0.7, 0.55, 0.9], 2),
        ],
        weights=[
            Weights(BEST, {f"layer {EVIL}": sparse, "output": rng.normal(0, 1, (3, 20))}),
            Weights("none", {f"layer {EVIL}": rng.normal(0, 0.3, (20, 10))}),
        ],
        notes=[f"The column {EVIL} was left out: it has one value only."],
    )


@pytest.fixture
def path_results() -> PathResults:
    points = pd.DataFrame(
        {
            "strength": STRENGTHS,
            "held_out": [0.50, 0.45, 0.40, 0.41, 0.69],
            "se": [0.02, 0.02, 0.02, 0.02, 0.0],
            "features": [4, 4, 3, 2, 0],
            "zeros": [0.0, 0.0, 0.25, 0.5, 1.0],
            "norm": [9.0, 7.0, 5.0, 3.0, 0.0],
        }
    )
    return PathResults(
        title="Churn",
        task="classification",
        metric="log loss",
        facts={"rows": "7,043"},
        points=points,
        leaves={"shoe": 0.01, "income": 1.0, EVIL: 0.1, "age": 1.0},
        chosen=["income", "age"],
        strength=0.1,
        best=0.01,
        notes=["a note"],
    )
