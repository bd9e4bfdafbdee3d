import pytest
import torch

import thinnet as tn


def test_the_kind_of_the_predictions_says_what_is_judged() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), tn.Dropout(0.5), torch.nn.Linear(8, 2))
    y = (x[:, 0] > 0).long()
    found = tn.calibration(tn.mc_predict(model, x, samples=5, seed=0, activation="softmax"), y)
    assert isinstance(found, tn.Reliability) and found.count == 40
    events = torch.stack([y, 1 - y], 1)
    found = tn.calibration(tn.mc_predict(model, x, samples=5, seed=0, activation="sigmoid"), events)
    assert isinstance(found, tn.Reliability) and found.count == 80
    found = tn.calibration(tn.mc_predict(model, x, samples=5, seed=0), x[:, :2], noise_std=1.0)
    assert isinstance(found, tn.Coverage) and found.count == 80


def test_plain_probabilities_are_told_apart_by_the_targets() -> None:
    """Those of two classes are one prediction a row, those of two events are two."""
    p = torch.tensor([[0.3, 0.7], [0.6, 0.4]])
    classes, events = tn.calibration(p, [1, 0]), tn.calibration(p.numpy(), [[0, 1], [1, 0]])
    assert classes.count == 2 and events.count == 4
    assert isinstance(classes, tn.Reliability) and classes.brier == pytest.approx((2 * 0.3**2 + 2 * 0.4**2) / 2)
    assert isinstance(events, tn.Reliability) and events.brier == pytest.approx((2 * 0.3**2 + 2 * 0.4**2) / 4)
    sure = tn.calibration([1, 0, 1], [1, 0, 0])
    assert isinstance(sure, tn.Reliability) and sure.brier == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("args", "settings", "message"),
    [
        ((torch.full((3, 2), 0.5), [0, 1, 2]), {}, r"class numbers in \[0, 2\), got 0 to 2"),
        ((torch.ones(3, 2), [0, 1, 1]), {}, r"must be in \[0, 1\] and sum to 1"),
        ((torch.full((3, 2), 0.5), [0, 1, 1]), {"bins": 0}, "`bins` must be >= 1, got 0"),
        ((torch.full((3, 2), 0.5), [0, 1, 1]), {"levels": (0.5, 1.0)}, r"`levels` must be in \(0, 1\)"),
        ((torch.full((3, 2), 0.5), [0, 1, 1]), {"levels": ()}, r"`levels` must be in \(0, 1\), and one at least"),
        ((torch.full((3, 2), 0.5), [0, 1, 1]), {"noise_std": 1.0}, "`noise_std` is for outputs that are no prob"),
        ((tn.Predictions(torch.zeros(2, 3)), [0.0] * 3), {}, "need `noise_std`.*give `activation` to mc_predict"),
        ((tn.Predictions(torch.zeros(2, 3)), [0.0] * 3), {"noise_std": -1.0}, "`noise_std` must be >= 0 and finite"),
        ((tn.Predictions(torch.zeros(2, 0)), torch.zeros(0)), {"noise_std": 1.0}, "there are no targets"),
    ],
)
def test_what_does_not_fit_is_named(args: tuple[object, ...], settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tn.calibration(*args, **settings)  # type: ignore[arg-type]
