import numpy as np
import pandas as pd

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import learn
from thinnet.tabular.columns._synthetic_rows import UNSEEN, made_up


def test_rows_are_like_those_that_were_learnt_and_wild_and_missing_too() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": rng.normal(50, 2, 300), "kind": rng.choice(["a", "b"], 300)})
    table["flag"] = rng.random(300) < 0.5
    schema, frame = learn(table)
    rows = made_up(Encoder.fit(frame, schema), schema, 2000, seed=3)
    assert list(rows.columns) == [column.name for column in schema.columns]
    assert len(rows) == 2000
    usual = rows["size"][rows["size"].between(30, 70)]
    assert abs(usual.median() - 50) < 0.5
    assert 0.07 < rows["size"].isna().mean() < 0.13
    assert 0.01 < (rows["size"].sub(50).abs() > 100).mean() < 0.03
    assert set(rows["kind"]) == {"a", "b", "", UNSEEN}
    assert set(rows["flag"]) == {"False", "True", "", UNSEEN}


def test_a_seed_decides() -> None:
    schema, frame = learn(pd.DataFrame({"size": np.arange(20.0)}))
    encoder = Encoder.fit(frame, schema)
    pd.testing.assert_frame_equal(made_up(encoder, schema, 50, seed=1), made_up(encoder, schema, 50, seed=1))
    assert not made_up(encoder, schema, 50, seed=1).equals(made_up(encoder, schema, 50, seed=2))
