import numpy as np
import pytest

from thinnet.tabular.population._folds import stratified_folds


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_even_and_every_class_is_spread(folds: int) -> None:
    strata = np.repeat([0, 1, 2, 3], [50, 17, 4, 1])
    fold_N = stratified_folds(strata, 72, folds, seed=0)
    for rows in [np.full(72, True), *(strata == c for c in range(4))]:
        counts = [int(np.sum(fold_N[rows] == f)) for f in range(folds)]
        assert max(counts) - min(counts) <= 1
    assert set(fold_N) == set(range(folds))


def test_folds_without_strata_are_even_and_random() -> None:
    one, other = (stratified_folds(None, 20, 3, seed) for seed in (0, 1))
    assert sorted(np.bincount(one)) == [6, 7, 7]
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, stratified_folds(None, 20, 3, 0))
