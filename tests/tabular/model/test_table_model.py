import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thinnet.errors import DataError
from thinnet.tabular import TableModel, load, read_model
from thinnet.tabular.model import _table_model

FOLDERS = Path(__file__).parent / "folders_of_format_3"
ROWS = pd.read_csv(FOLDERS / "rows.csv")

SPARED = {
    "torch",
    "sklearn",
    "scipy",
    "sympy",
    "plotly",
    "jinja2",
    "thinnet.stack",
    "thinnet.report",
    "thinnet.compaction",
    "thinnet.tabular._fit",
    "thinnet.tabular._estimator",
    "thinnet.tabular.population",
    "thinnet.tabular.features",
}


@pytest.mark.parametrize("name", ["classifier", "regressor", "compacted"])
def test_it_predicts_as_the_estimator_around_it(name: str) -> None:
    model, estimator = read_model(FOLDERS / name), load(FOLDERS / name)
    assert model.predict(ROWS).tolist() == estimator.predict(ROWS).tolist()
    table = model.table(ROWS)
    assert table["prediction"].tolist() == estimator.predict(ROWS).tolist()
    if model.head.task == "classification":
        np.testing.assert_array_equal(table.drop(columns="prediction"), estimator.predict_proba(ROWS))
    else:
        np.testing.assert_array_equal(table["std"], estimator.predict(ROWS, return_std=True)[1])


def test_parts_of_a_table_are_predicted_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = read_model(FOLDERS / "classifier")
    whole = model.outputs(ROWS)
    monkeypatch.setattr(_table_model, "_ROWS_AT_A_TIME", 5)
    for part, expected in zip(model.outputs(ROWS), whole, strict=True):
        assert part.shape == (12, 3)
        np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-7)


def test_a_table_that_lacks_a_column_is_refused() -> None:
    model = read_model(FOLDERS / "regressor")
    with pytest.raises(DataError, match="columns seen at fit are missing from the table: 'town'"):
        model.predict(ROWS.drop(columns="town"))


def test_the_columns_of_the_training_table_are_known() -> None:
    names = read_model(FOLDERS / "features").schema.names
    assert sorted(names) == sorted(ROWS.columns)


@pytest.mark.parametrize("name", ["classifier", "regressor", "compacted"])
def test_predicting_loads_no_training_code(name: str, tmp_path: Path) -> None:
    code = (
        "import sys, pandas as pd\n"
        "from thinnet.tabular import read_model\n"
        f"print(len(read_model({str(FOLDERS / name)!r}).predict(pd.read_csv({str(FOLDERS / 'rows.csv')!r}))))\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, loaded = run.stdout.splitlines()
    assert rows == "12"
    assert not SPARED & {*loaded.split()}


def test_encodings_that_no_network_sees_are_dropped() -> None:
    model = read_model(FOLDERS / "classifier")
    parts = [part for _, part in model.encoder.columns]
    plain = [i for i, part in enumerate(parts) if part in ("numeric", "missing", "onehot")]
    assert {"bins", "slow", "fast"} & {*parts}
    (first, *_) = model.ensemble.blocks
    kept = np.isin(first.seen, plain)
    weights = [first.weights[0][:, :, kept], *first.weights[1:]]
    block = replace(first, seen=first.seen[kept], weights=weights)
    shares = np.full(len(block), 1 / len(block))
    ensemble = replace(
        model.ensemble, blocks=[block], weights_K=shares, temperatures_K=model.ensemble.temperatures_K[: len(block)]
    )
    whole = replace(model, ensemble=ensemble)
    small = TableModel.of(model.schema, model.encoder, ensemble, model.head)
    assert {part for _, part in small.encoder.columns} == {"numeric", "missing", "onehot"}
    for ours, theirs in zip(small.outputs(ROWS), whole.outputs(ROWS), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def test_a_whole_stack_of_an_older_format_is_read_without_its_unused_inputs() -> None:
    (widest, *_) = sorted((len(b.seen) for b in read_model(FOLDERS / "classifier").ensemble.blocks), reverse=True)
    sizes = json.loads((FOLDERS / "classifier" / "model.json").read_text())["payload"]["sizes"]
    assert widest < sizes[0]
