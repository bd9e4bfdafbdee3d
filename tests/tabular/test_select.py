from collections.abc import Callable

import numpy as np
import pytest
import torch

from thinnet import L2
from thinnet.tabular._select import select
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

Make, Train = Callable[..., Problem], Callable[..., Training]

CONFIGURATIONS = [
    Configuration(),
    Configuration(dropout=0.4),
    Configuration((L2(1e-2),), encodings=()),
    Configuration(label_smoothing=0.2),
    Configuration(lr=2e-2),
]


def log_loss(p_NC: np.ndarray, y: np.ndarray) -> float:
    return -float(np.mean([np.log(row[label]) for row, label in zip(p_NC, y, strict=True)]))


def fit(problem: Problem, train: Train, configurations: list[Configuration] = CONFIGURATIONS) -> Trained:
    return train(problem, configurations, steps=120).result()


def test_selection_is_no_worse_than_the_best_single_calibrated_configuration(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    trained, y = fit(problem, train), problem.y_N.numpy()
    _, weights_M, mean_NC, _ = select(problem, trained)
    singles = []
    for p in trained.oof_MNC.astype(np.float64):
        powers = [p ** (1 / t) for t in np.geomspace(0.1, 10, 200)]
        singles.append(min(log_loss(q / q.sum(1, keepdims=True), y) for q in powers))
    assert log_loss(mean_NC, y) <= min(singles) + 1e-9
    assert weights_M.sum() == pytest.approx(1)
    assert (weights_M >= 0).all()


def test_selection_of_regressors_is_no_worse_than_the_best_and_is_their_mixture(
    make_problem: Make, train: Train
) -> None:
    problem = make_problem(1)
    trained, y = fit(problem, train), problem.y_N.numpy()[:, None]
    ensemble, weights_M, mean_NC, variance_NC = select(problem, trained)
    oof = trained.oof_MNC.astype(np.float64)
    assert np.mean((mean_NC - y) ** 2) <= min(np.mean((p - y) ** 2) for p in oof) + 1e-12
    mean = sum(w * p for w, p in zip(weights_M, oof, strict=True))
    np.testing.assert_allclose(mean_NC, mean)
    np.testing.assert_allclose(
        variance_NC, sum(w * (p - mean) ** 2 for w, p in zip(weights_M, oof, strict=True)), atol=1e-12
    )
    assert ensemble.temperatures_K is None


@pytest.mark.parametrize("classes", [1, 3])
def test_every_folds_member_of_a_chosen_mix_predicts(classes: int, make_problem: Make, train: Train) -> None:
    problem = make_problem(classes)
    trained = fit(problem, train)
    before = [p.clone() for p in trained.stack.parameters()]
    ensemble, weights_M, _, _ = select(problem, trained)
    chosen = [m for m in range(5) if weights_M[m]]
    assert ensemble.weights_K.sum() == pytest.approx(1)
    np.testing.assert_allclose(ensemble.weights_K.reshape(-1, 3).sum(1), weights_M[chosen])
    members = [3 * m + f for m in chosen for f in range(3)]
    for all_, was in zip(trained.stack.parameters(), before, strict=True):
        torch.testing.assert_close(all_.data, was, rtol=0, atol=0)  # the population is left as it was
    outputs = np.concatenate([block.outputs(problem.x_ND.numpy()) for block in ensemble.blocks])
    expected = [trained.stack.member(k)(problem.x_ND).detach().numpy() for k in members]
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_bold_members_are_softened_and_shy_ones_sharpened(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    trained = fit(problem, train, [Configuration()])
    honest, _, honest_mean, _ = select(problem, trained)
    p = trained.oof_MNC.astype(np.float64)
    bold = p**2
    trained.oof_MNC = (bold / bold.sum(2, keepdims=True)).astype(np.float32)
    softened, _, softened_mean, _ = select(problem, trained)
    assert honest.temperatures_K is not None
    assert softened.temperatures_K is not None
    np.testing.assert_allclose(softened.temperatures_K, 2 * honest.temperatures_K, rtol=1e-3)
    np.testing.assert_allclose(softened_mean, honest_mean, atol=1e-4)
    assert softened.temperature == pytest.approx(1, abs=1e-3)  # one configuration alone: nothing is left to calibrate


def test_an_incomplete_configuration_has_no_weight(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    trained = fit(problem, train, [Configuration(lr=1e20), Configuration(), Configuration(dropout=0.2)])
    assert trained.complete == [False, True, True]
    ensemble, weights_M, mean_NC, _ = select(problem, trained)
    assert weights_M[0] == 0
    assert np.isfinite(mean_NC).all()
    assert np.isfinite(ensemble.outputs(problem.x_ND.numpy())[0]).all()
