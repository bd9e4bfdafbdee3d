import gzip
import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import halfnorm
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, RobustScaler, StandardScaler

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import Schema, learn

DATA = Path(os.environ["THINNET_DATA"]) / "tables" if "THINNET_DATA" in os.environ else None
TABLES = json.loads((DATA / "tables.json").read_text()) if DATA else []


def fitted(table: pd.DataFrame, **settings: int) -> tuple[Encoder, np.ndarray]:
    schema, frame = learn(table)
    encoder = Encoder.fit(frame, schema, **settings)
    return encoder, encoder.encode(frame)


def parts(encoder: Encoder) -> dict[str, dict[str, int]]:
    """Number of columns by source and part."""
    found: dict[str, dict[str, int]] = {}
    for source, part in encoder.columns:
        of_source = found.setdefault(source, {})
        of_source[part] = of_source.get(part, 0) + 1
    return found


def mixed(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "pay": rng.lognormal(sigma=2, size=rows),
            "rooms": rng.integers(1, 5, size=rows),
            "flag": rng.integers(0, 2, size=rows).astype(bool),
            "town": rng.choice(["Bonn", "Rom", "Oslo"], size=rows),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, size=rows), unit="D"),
        }
    )
    frame.loc[::7, "pay"] = np.nan
    frame.loc[::5, "town"] = None
    return frame


def test_every_output_column_has_its_source_and_part() -> None:
    encoder, z = fitted(mixed(), n_bins=4)
    assert z.shape == (200, len(encoder.columns))
    assert z.dtype == np.float32
    assert np.isfinite(z).all()
    assert parts(encoder) == {
        "pay": {"numeric": 1, "bins": 4, "missing": 1},
        "rooms": {"numeric": 1, "bins": 3},
        "day": {"numeric": 1, "bins": 4},
        "flag": {"onehot": 1},
        "town": {"onehot": 4},
    }


def test_every_part_is_what_its_name_says() -> None:
    numbers = [0.0, 1.0, None, 3.0, 4.0]
    table = pd.DataFrame({"n": numbers, "c": list("abadb"), "b": list("nyyny")})
    encoder, z = fitted(table, n_bins=4)
    columns = {}
    for j, (source, part) in enumerate(encoder.columns):
        columns.setdefault((source, part), []).append(z[:, j].tolist())
    clip = lambda v: pytest.approx(v / np.sqrt(1 + v * v / 9))  # noqa: E731
    # median 2 of 0, 1, 3, 4; quartiles 0.75 and 3.25
    assert columns["n", "numeric"] == [[clip(-0.8), clip(-0.4), 0.0, clip(0.4), clip(0.8)]]
    assert columns["n", "bins"] == [[0, 1, 1, 1, 1], [0, 0, 0.5, 1, 1], [0, 0, 0, 0, 1]]
    assert columns["n", "missing"] == [[0, 0, 1, 0, 0]]
    assert columns["c", "onehot"] == [[1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 1, 0]]
    assert columns["b", "onehot"] == [[-1, 1, 1, -1, 1]]


def test_a_row_is_encoded_by_itself() -> None:
    schema, frame = learn(mixed())
    encoder = Encoder.fit(frame, schema)
    whole = encoder.encode(frame)
    rows = np.concatenate([encoder.encode(frame.iloc[[i]]) for i in range(len(frame))])
    np.testing.assert_array_equal(whole, rows)


def test_only_the_training_rows_count() -> None:
    schema, frame = learn(mixed())
    head = frame.head(100)
    changed = frame.copy()
    changed.loc[100:, "pay"] = 1e9
    changed.loc[100:, "town"] = "Ulm"
    np.testing.assert_array_equal(
        Encoder.fit(head, schema).encode(head), Encoder.fit(changed.head(100), schema).encode(head)
    )


def test_unseen_categories_and_unforeseen_gaps_are_neutral() -> None:
    table = pd.DataFrame({"n": [1.0, 2.0, 3.0], "c": ["a", "b", "c"], "f": [True, False, True]})
    schema, frame = learn(table)
    encoder = Encoder.fit(frame, schema)
    new = schema.read(pd.DataFrame({"n": [None, 2.0], "c": ["z", None], "f": [None, "?"]}))
    z = encoder.encode(new)
    numeric = [j for j, (source, _) in enumerate(encoder.columns) if source == "n"]
    np.testing.assert_array_equal(z[0, numeric], z[1, numeric])
    assert not np.delete(z, numeric, axis=1).any()


def test_rare_categories_share_a_column_that_unseen_ones_fall_into() -> None:
    town = ["a"] * 60 + ["b"] * 60 + ["c"] * 2 + ["d"] + ["e"]
    schema, frame = learn(pd.DataFrame({"town": town}))
    encoder = Encoder.fit(frame, schema)
    z = encoder.encode(schema.read(pd.DataFrame({"town": ["a", "b", "c", "d", "unseen"]})))
    assert z.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_many_categories_are_capped() -> None:
    words = [f"w{i % 90}" for i in range(900)]
    encoder, z = fitted(pd.DataFrame({"word": words}), max_categories=10)
    assert parts(encoder) == {"word": {"onehot": 10}}
    assert (z.sum(axis=1) == 1).all()


def test_a_column_of_rare_categories_only_has_no_columns() -> None:
    frame = pd.DataFrame({"x": range(120), "word": [f"w{i // 2}" for i in range(120)]})
    assert "word" not in parts(fitted(frame)[0])


def test_wide_tables_get_fewer_bins_and_categories() -> None:
    rng = np.random.default_rng(0)
    for width, bins in ((50, 16), (300, 4), (800, 0)):
        encoder, _ = fitted(pd.DataFrame(rng.normal(size=(100, width))))
        assert parts(encoder)["0"].get("bins", 0) == bins
        assert len(encoder.columns) <= 1500
    words = pd.DataFrame(rng.integers(0, 60, size=(1000, 40)).astype(str)).add_prefix("w").map(lambda w: f"w{w}")
    assert len(fitted(words)[0].columns) <= 750


def test_no_bins_where_none_are_asked_for() -> None:
    assert all(part != "bins" for _, part in fitted(mixed(), n_bins=0)[0].columns)


def test_a_column_without_variation_in_the_training_rows_gives_only_its_gaps() -> None:
    schema, frame = learn(pd.DataFrame({"a": [1.0, 1.0, None, 2.0], "b": [None, None, None, 1.0], "c": list("xxxy")}))
    encoder = Encoder.fit(frame.head(3), schema)
    assert encoder.columns == [("a", "missing")]
    assert encoder.encode(frame).tolist() == [[0], [0], [1], [0]]


def test_nothing_to_learn_from_is_refused() -> None:
    schema, frame = learn(pd.DataFrame({"a": [1.0, 1.0, 2.0]}))
    with pytest.raises(ValueError, match="no column holds two different values in the training rows"):
        Encoder.fit(frame.head(2), schema)


def test_a_global_output_setting_changes_nothing() -> None:
    with sklearn.config_context(transform_output="pandas"):
        _, z = fitted(mixed())
    np.testing.assert_array_equal(z, fitted(mixed())[1])


def test_wild_values_stay_finite() -> None:
    schema, frame = learn(pd.DataFrame({"x": [1.0, 2.0, 3.0]}))
    z = Encoder.fit(frame, schema).encode(schema.read(pd.DataFrame({"x": [1e300, -1e300]})))
    assert np.isfinite(z).all()
    assert np.abs(z).max() <= 3


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not TABLES, reason="THINNET_DATA is unset")
@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry["name"])
def test_real_tables(entry: dict[str, str]) -> None:
    assert DATA is not None
    with gzip.open(DATA / entry["file"], "rt") as file:
        table = pd.read_csv(file).drop(columns=entry["target"])
    held_out = np.arange(len(table)) % 4 == 0
    schema, frame = learn(table, rows=~held_out)
    encoder = Encoder.fit(frame, schema)
    assert len(schema.columns) + len(schema.dropped) == schema.width == int(entry["features"])

    new = schema.read(table[held_out])
    z = encoder.encode(new)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()
    assert np.abs(z).max() <= 3
    assert z.shape == (held_out.sum(), len(encoder.columns))
    assert len({source for source, _ in encoder.columns}) <= z.shape[1] <= 1500
    few = slice(0, 5)
    alone = [encoder.encode(schema.read(table[held_out].iloc[[i]])) for i in range(5)]
    np.testing.assert_array_equal(z[few], np.concatenate(alone))


def pipelines(frame: pd.DataFrame, schema: Schema, bins: int, waves: int) -> tuple[ColumnTransformer, list[str]]:
    """The same encoding written with scikit-learn's transformers, every column of categories one-hot in full."""
    kinds = {column.name: column.kind for column in schema.columns}
    numbers = [name for name, kind in kinds.items() if kind in ("numeric", "datetime")]
    words = [name for name in kinds if name not in numbers]

    def clipped(z: np.ndarray) -> np.ndarray:
        return (z / np.sqrt(1 + (z / 3) ** 2)).astype(np.float32)

    def rising(x: np.ndarray) -> np.ndarray:
        columns = []
        for values, seen in zip(x.T, frame[numbers].to_numpy().T, strict=True):
            distinct = np.unique(seen[~np.isnan(seen)])
            edges = (
                distinct if len(distinct) <= bins + 1 else np.unique(np.nanquantile(seen, np.linspace(0, 1, bins + 1)))
            )
            for t, (low, high) in enumerate(pairwise(edges)):
                first, last = t == 0, t == len(edges) - 2
                columns.append(np.clip((values - low) / (high - low), -1.0 if first else 0.0, 2.0 if last else 1.0))
        return np.array(columns, dtype=np.float32).T

    def turning(count: int, scale: float) -> FunctionTransformer:
        frequencies = scale * halfnorm.ppf((np.arange(count) + 0.5) / count)

        def turned(z: np.ndarray) -> np.ndarray:
            angles = z[:, :, None] * frequencies
            return np.concatenate([np.cos(angles), np.sin(angles)], 2).reshape(len(z), -1).astype(np.float32)

        return FunctionTransformer(turned)

    scaled = [RobustScaler(), FunctionTransformer(clipped), SimpleImputer(strategy="constant", fill_value=0.0)]
    slow = waves // 3
    return ColumnTransformer(
        [
            ("numeric", make_pipeline(*scaled), numbers),
            ("bins", make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(rising)), numbers),
            ("slow", make_pipeline(*scaled, StandardScaler(), turning(slow, 1.0)), numbers),
            ("fast", make_pipeline(*scaled, StandardScaler(), turning(waves - slow, 4.0)), numbers),
            ("missing", MissingIndicator(features="all"), [name for name in numbers if frame[name].isna().any()]),
            ("onehot", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), words),
        ],
        sparse_threshold=0,
    ).fit(frame), words


def test_it_is_what_scikit_learns_transformers_make_of_the_table() -> None:
    schema, frame = learn(mixed())
    encoder = Encoder.fit(frame, schema, n_bins=5, n_frequencies=7)
    theirs, words = pipelines(frame, schema, 5, 7)
    new = mixed(300)
    new.loc[::11, "town"] = "unseen"
    new["pay"] *= 3
    rows = schema.read(new)
    expected = theirs.transform(rows)
    counts = [len(categories) for categories in theirs.named_transformers_["onehot"].categories_]
    # the two columns of a column of two categories become one of both signs
    pair = expected.shape[1] - sum(counts) + sum(counts[: words.index("flag")])
    expected[:, pair + 1] -= expected[:, pair]
    np.testing.assert_allclose(encoder.encode(rows), np.delete(expected, pair, axis=1), rtol=1e-5, atol=2e-5)
