import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import halfnorm

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._schema import learn


def test_it_is_cosines_then_sines_of_every_feature() -> None:
    X = np.random.default_rng(0).normal(3.0, [0.1, 5.0], size=(40, 2))
    encoder = PeriodicEncoder.fit(X, n_frequencies=5, scale=2.0)
    rows = []
    for row in X:
        cells = []
        for j, x in enumerate(row):
            column = [float(v) for v in X[:, j]]
            mean = math.fsum(column) / len(column)
            z = (x - mean) / math.sqrt(math.fsum((v - mean) ** 2 for v in column) / len(column))
            cells += [math.cos(c * z) for c in encoder.frequencies]
            cells += [math.sin(c * z) for c in encoder.frequencies]
        rows.append(cells)
    encoded = encoder.encode(X)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, rows, rtol=1e-5, atol=1e-6)


def test_frequencies_spread_as_a_half_normal() -> None:
    frequencies = PeriodicEncoder.fit(np.array([[0.0], [1.0]]), n_frequencies=4, scale=3.0).frequencies
    np.testing.assert_allclose(halfnorm(scale=3.0).cdf(frequencies), [0.125, 0.375, 0.625, 0.875])


def test_a_constant_column_is_at_phase_zero() -> None:
    encoder = PeriodicEncoder.fit(np.array([[7.0], [7.0]]), n_frequencies=2)
    assert encoder.deviation.tolist() == [1]
    assert encoder.encode(np.array([[7.0]])).tolist() == [[1, 1, 0, 0]]


def table(columns: int, rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"n{i}": rng.normal(size=rows) for i in range(columns)})
    frame.loc[::7, "n0"] = np.nan
    frame["kind"] = rng.choice(["a", "b", "c"], rows)
    return frame


@pytest.mark.parametrize(
    ("waves", "slow", "fast"),
    [(0, 0, 0), (2, 0, 0), (3, 2, 4), (6, 4, 8), (18, 12, 24)],
)
def test_a_third_of_the_encoders_waves_is_slow(waves: int, slow: int, fast: int) -> None:
    schema, frame = learn(table(2))
    encoder = Encoder.fit(frame, schema, n_bins=4, n_frequencies=waves)
    for name in ("n0", "n1"):
        parts = [part for column, part in encoder.columns if column == name]
        assert (parts.count("slow"), parts.count("fast")) == (slow, fast)
    assert encoder.encode(frame).shape == (120, len(encoder.columns))


@pytest.mark.parametrize("width", [60, 120, 300, 5000])
def test_the_encoder_keeps_to_its_width(width: int) -> None:
    schema, frame = learn(table(20))
    encoder = Encoder.fit(frame, schema, n_bins=16, n_frequencies=18, max_width=width)
    assert len(encoder.columns) <= width
    parts = [part for _, part in encoder.columns]
    assert parts.count("numeric") == 20
    assert ("slow" in parts) == (width >= 300)


def test_what_the_encoder_never_saw_stays_finite() -> None:
    schema, frame = learn(table(2))
    encoder = Encoder.fit(frame, schema, n_frequencies=9)
    new = pd.DataFrame({"n0": [np.nan, 1e30, 0.0], "n1": [np.nan, -1e300, 0.0], "kind": ["new", None, "a"]})
    encoded = encoder.encode(schema.read(new))
    assert np.isfinite(encoded).all()
    waves = [i for i, (_, part) in enumerate(encoder.columns) if part in ("slow", "fast")]
    assert (np.abs(encoded[:, waves]) <= 1).all()
