import pytest

from thinnet.tabular import ThinNetClassifier, ThinNetRegressor
from thinnet.tabular.population._settings import Settings


@pytest.mark.parametrize(("rows", "size"), [(50, 32), (1000, 32), (5000, 128), (100_000, 256)])
def test_about_forty_steps_an_epoch(rows: int, size: int) -> None:
    assert Settings.of(ThinNetClassifier(), rows, 0).batch_size == size
    assert Settings.of(ThinNetClassifier(batch_size=7), rows, 0).batch_size == 7


def test_settings_are_those_of_the_estimator() -> None:
    model = ThinNetRegressor(n_configurations=3, n_rounds=2, hidden=[5, 4], max_steps=9, batch_size=8)
    assert Settings.of(model, 100, 4) == Settings(3, 2, (5, 4), 9, 8, 4)


def test_polish_comes_before_refit() -> None:
    assert Settings.of(ThinNetRegressor(refit=True, polish=True), 100, 0).stages == ("polish", "refit")
    assert Settings.of(ThinNetRegressor(refit=True), 100, 0).stages == ("refit",)
