import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder as ScikitLearnsEncoder

from thinnet.tabular.columns._one_hot import OneHotEncoder

NEW = ["a", "b", "c", "d", "e", "f", "", "never seen"]


def words(*counts: int) -> pd.Series:
    """So many rows of "a", "b", ..., and of a missing cell at the end, in mixed order."""
    cells = [word for word, count in zip([*"abcdef"[: len(counts) - 1], ""], counts, strict=True) for _ in range(count)]
    return pd.Series(np.random.default_rng(0).permutation(np.array(cells, dtype=object)))


@pytest.mark.parametrize("counts", [(9, 1, 8, 2, 2, 1, 3), (1, 1, 1, 1), (5, 5, 0), (1, 6), (4, 2, 2, 2, 1)])
@pytest.mark.parametrize("rare", [None, 2, 3, 100])
@pytest.mark.parametrize("max_categories", [1, 2, 3, 4, 5, 64])
def test_its_groups_are_those_of_scikit_learn(counts: tuple[int, ...], rare: int | None, max_categories: int) -> None:
    cells = words(*counts)
    theirs = ScikitLearnsEncoder(
        sparse_output=False,
        dtype=np.float32,
        handle_unknown="infrequent_if_exist",
        max_categories=max_categories,
        min_frequency=rare,
    ).fit(cells.to_numpy(dtype=object)[:, None])
    expected = theirs.transform(np.array(NEW, dtype=object)[:, None])
    if expected.shape[1] == 2:
        expected = np.array([[row[1] - row[0]] for row in expected])
    elif expected.shape[1] == 1:
        expected = expected[:, :0]
    encoder = OneHotEncoder.fit(cells, max_categories=max_categories, rare=rare)
    encoded = encoder.encode(pd.Series(NEW, dtype=object))
    assert encoded.dtype == np.float32
    assert encoder.width == encoded.shape[1]
    np.testing.assert_array_equal(encoded, expected)


def test_an_unseen_category_is_zero_where_none_is_rare() -> None:
    encoder = OneHotEncoder.fit(words(3, 3, 3), max_categories=9, rare=None)
    assert not encoder.grouped
    assert not encoder.encode(pd.Series(["z"], dtype=object)).any()
