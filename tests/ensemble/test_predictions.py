import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import thinnet as tn


def random_samples(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_moments_and_quantiles_are_numpys() -> None:
    x = random_samples(7, 3, 2)
    pred = tn.Predictions(x)
    torch.testing.assert_close(pred.mean, torch.from_numpy(np.mean(x.numpy(), axis=0)))
    torch.testing.assert_close(pred.std, torch.from_numpy(np.std(x.numpy(), axis=0)))
    for q in (0.0, 0.3, 1.0, [0.1, 0.5, 0.9], torch.tensor([[0.25], [0.75]])):
        torch.testing.assert_close(pred.quantile(q), torch.from_numpy(np.quantile(x.numpy(), np.asarray(q), axis=0)))


def test_quantiles_in_half_precision() -> None:
    pred = tn.Predictions(torch.tensor([[3.0], [1.0], [2.0]], dtype=torch.float16))
    assert pred.quantile(0.5).tolist() == [2.0]
    assert pred.quantile(0.5).dtype == torch.float16


def test_one_sample_is_not_apart_from_itself() -> None:
    pred = tn.Predictions(torch.tensor([[0.2, 0.8]]), probabilities="independent")
    assert pred.std.tolist() == [0.0, 0.0]
    assert pred.mutual_information.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("q", [-0.1, 1.1, [0.5, math.nan]])
def test_bad_levels_are_named(q: object) -> None:
    with pytest.raises(ValueError, match=r"`q` must be in \[0, 1\], got"):
        tn.Predictions(torch.ones(2, 2)).quantile(q)  # type: ignore[arg-type]


def test_entropy_by_hand() -> None:
    p = random_samples(6, 4, 3).softmax(-1)
    pred = tn.Predictions(p, probabilities="classes")
    for b in range(4):
        mixture = [sum(p[s, b, c].item() for s in range(6)) / 6 for c in range(3)]
        total = -sum(v * math.log(v) for v in mixture)
        within = -sum(v * math.log(v) for s in range(6) for v in p[s, b].tolist()) / 6
        assert pred.entropy[b].item() == pytest.approx(total)
        assert pred.mutual_information[b].item() == pytest.approx(total - within)


def test_entropy_of_events_is_that_of_two_classes() -> None:
    p = torch.rand(5, 4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    events = tn.Predictions(p, probabilities="independent")
    classes = tn.Predictions(torch.stack([p, 1 - p], -1), probabilities="classes")
    torch.testing.assert_close(events.entropy, classes.entropy)
    torch.testing.assert_close(events.mutual_information, classes.mutual_information)


def test_certainty_has_no_entropy() -> None:
    pred = tn.Predictions(torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]]), probabilities="classes")
    assert pred.entropy.tolist() == pred.mutual_information.tolist() == [0.0]


def test_agreement_has_no_mutual_information() -> None:
    """Spread samples raise it, from 0 to the whole entropy."""
    seen = []
    for gap in (0.0, 0.2, 0.5):
        p = torch.tensor([0.5 - gap, 0.5 + gap], dtype=torch.float64)
        pred = tn.Predictions(torch.stack([p, 1 - p], -1)[:, None], probabilities="classes")
        seen.append(pred.mutual_information.item())
        assert pred.entropy.item() == pytest.approx(math.log(2))
    assert all(a < b for a, b in pairwise(seen))
    assert (seen[0], seen[-1]) == (pytest.approx(0, abs=1e-15), pytest.approx(math.log(2)))


def test_entropy_needs_probabilities() -> None:
    pred = tn.Predictions(torch.ones(2, 3))
    for name in ("entropy", "mutual_information"):
        with pytest.raises(ValueError, match="not known to be probabilities; give `activation`"):
            getattr(pred, name)


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        ([[[0.5, 0.6]]], "classes"),
        ([[[1.5, -0.5]]], "classes"),
        ([[2.0]], "independent"),
        ([[math.nan]], "independent"),
    ],
)
def test_false_probabilities_are_refused(samples: object, kind: str) -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 1\].*for logits give"):
        tn.Predictions(torch.tensor(samples), probabilities=kind)  # type: ignore[arg-type]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"`samples` must be \(S, B, \.\.\.\)"):
        tn.Predictions(torch.ones(3))
    with pytest.raises(ValueError, match=r"`samples` must be .* S >= 1"):
        tn.Predictions(torch.ones(0, 3))
    with pytest.raises(ValueError, match="`probabilities` must be"):
        tn.Predictions(torch.ones(1, 3), probabilities="yes")  # type: ignore[arg-type]


def test_it_prints_its_shape() -> None:
    assert repr(tn.Predictions(torch.ones(2, 3))) == "Predictions(samples=(2, 3), probabilities=None)"
