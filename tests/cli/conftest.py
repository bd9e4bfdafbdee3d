from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from thinnet import tabular
from thinnet.cli import run


class Ended(NamedTuple):
    status: int
    out: str
    err: str

    def refused(self) -> str:
        """The one line on stderr of a command that ended with status 2."""
        assert self.status == 2, self.err
        assert self.out == ""
        assert self.err.startswith("thinnet: ") and self.err.endswith("\n") and self.err.count("\n") == 1, self.err
        return self.err.removeprefix("thinnet: ").strip()


@pytest.fixture
def thinnet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command in this process."""
    monkeypatch.delenv("THINNET_DEBUG", raising=False)

    def ended(*arguments: object) -> Ended:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        return Ended(status, *capsys.readouterr())

    return ended


@pytest.fixture(scope="session", autouse=True)
def small_population() -> Iterator[None]:
    """Estimators that end by themselves after few steps of few networks, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"n_configurations": 4, "max_steps": 100}.items():
            patch.setitem(tabular.ThinNetClassifier.__init__.__kwdefaults__, name, value)
        yield


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    churn = np.where(x[:, 0] + rng.normal(size=80) > 0, "yes", "no")
    table = pd.DataFrame(x, columns=["age", "income", "tenure"])
    return table.assign(city=rng.choice(["Rome", "Oslo"], 80), spend=2 * x[:, 1] + rng.normal(size=80), Churn=churn)


@pytest.fixture
def table(frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path
