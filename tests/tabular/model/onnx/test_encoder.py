import numpy as np
import onnxruntime
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from thinnet.compaction.export import Port
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._schema import learn
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model.onnx._encoder import MEANINGS, encoded, inputs_of
from thinnet.tabular.model.onnx._graph import Graph


def table(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    numbers = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(5, 3, rows))
    frame = pd.DataFrame({"size": numbers, "kind": rng.choice(["a", "b", "c"], rows), "flag": rng.random(rows) < 0.5})
    return frame.assign(day=pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), unit="D"))


@pytest.mark.parametrize("settings", [{}, {"n_bins": 0}, {"n_frequencies": 8}], ids=["bins", "numbers alone", "waves"])
@pytest.mark.parametrize("columns", [["size", "kind", "flag", "day"], ["size"], ["kind", "flag"]], ids="+".join)
def test_rows_are_encoded_as_by_the_encoder(columns: list[str], settings: dict[str, int]) -> None:
    schema, frame = learn(table()[columns])
    encoder = Encoder.fit(frame, schema, **settings)
    graph = Graph(inputs_of(schema))
    width = len(encoder.columns)
    content = graph.model([(encoded(graph, encoder, schema), Port("rows", "float", (None, width)))], {}, "0")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rows = made_up(encoder, schema, 200)
    [found] = session.run(None, {name: rows[name].to_numpy() for name in columns})
    assert found.shape == (200, width)
    assert_allclose(found, encoder.encode(rows), rtol=0, atol=2e-5)


def test_an_input_says_what_it_takes() -> None:
    schema, _ = learn(table())
    assert {(port.name, port.kind, port.meaning) for port in inputs_of(schema)} == {
        ("size", "double", MEANINGS["numeric"]),
        ("day", "double", MEANINGS["datetime"]),
        ("kind", "string", MEANINGS["categorical"]),
        ("flag", "string", MEANINGS["boolean"]),
    }
