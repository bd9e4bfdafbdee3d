import numpy as np
import pytest
import torch

import thinnet as tn
from thinnet.ensemble._check_targets import targets_of


def checked(pred: tn.Predictions, y: object) -> torch.Tensor:
    return targets_of(pred.samples, pred.probabilities, y, "f")  # type: ignore[arg-type]


CLASSES = tn.Predictions(torch.full((2, 3, 4), 0.25), "classes")
EVENTS = tn.Predictions(torch.full((2, 3), 0.25), "independent")
NUMBERS = tn.Predictions(torch.zeros(2, 3, 1))


def test_they_come_in_the_type_that_is_needed() -> None:
    assert checked(CLASSES, np.array([0, 3, 1], np.int32)).dtype == torch.int64
    assert checked(EVENTS, [True, False, True]).tolist() == [1.0, 0.0, 1.0]
    assert checked(NUMBERS, [1, 2, 3]).shape == (3, 1)
    assert checked(tn.Predictions(torch.zeros(2, 3).half()), torch.zeros(3).half()).dtype == torch.float32


@pytest.mark.parametrize(
    ("pred", "y", "message"),
    [
        (CLASSES, [0, 1], r"f: `y` must be of shape \(3,\) for samples of shape \(2, 3, 4\) of class probabilities"),
        (CLASSES, [[0], [1], [2]], r"must be of shape \(3,\).*got \(3, 1\)"),
        (CLASSES, [0.0, 1.0, 2.0], r"must hold class numbers, got torch.float32; convert them"),
        (CLASSES, [True, False, True], r"must hold class numbers, got torch.bool"),
        (CLASSES, [0, 4, 1], r"class numbers in \[0, 4\), got 0 to 4"),
        (CLASSES, [-1, 3, 1], r"class numbers in \[0, 4\), got -1 to 3"),
        (EVENTS, [0.0, 0.5, 1.0], r"must be 0 or 1 for each event, got 0.5"),
        (EVENTS, [[0.0, 1.0, 1.0]], r"must be of shape \(3,\)"),
        (NUMBERS, [[1.0, 2.0, 3.0]], r"must be of shape \(3, 1\).*got \(1, 3\)"),
        (NUMBERS, [1.0, float("nan"), 3.0], "NaN or infinity; leave rows without a target out"),
    ],
)
def test_what_does_not_fit_is_named(pred: tn.Predictions, y: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked(pred, y)
