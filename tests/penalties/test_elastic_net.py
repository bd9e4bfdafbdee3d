import numpy as np
import torch
from sklearn.linear_model import ElasticNet as SklearnElasticNet

from thinnet.penalties import L1, L2, ElasticNet


def test_golden_value_and_step() -> None:
    w = torch.tensor([[3.0, -1.0]])
    assert ElasticNet(1.0, 0.5).value(w).item() == 6.5
    assert ElasticNet(1.0, 0.5).prox(w, 2.0).tolist() == [[0.5, 0.0]]
    weighted = ElasticNet(1.0, 0.5).prox(w, 1.0, torch.tensor([[0.5, 2.0]]))
    torch.testing.assert_close(weighted, torch.tensor([[0.5, -0.4]]))


def test_the_value_is_that_of_l1_plus_l2() -> None:
    w = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ElasticNet(0.3, 0.7).value(w), L1(0.3).value(w) + L2(0.7).value(w))


def test_one_strength_a_member_beside_one_for_all() -> None:
    w, each = torch.ones(3, 2, 2), torch.tensor([0.0, 1.0, 2.0])
    assert ElasticNet(each, 1.0).value(w).tolist() == [2.0, 6.0, 10.0]
    assert ElasticNet(1.0, each).value(w).tolist() == [4.0, 6.0, 8.0]
    torch.testing.assert_close(ElasticNet(each, 1.0).prox(w, 0.25)[:, 0, 0], torch.tensor([0.8, 0.6, 0.4]))


def test_proximal_gradient_finds_scikit_learns_elastic_net() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 12))
    y = x[:, :3] @ np.array([2.0, -1.0, 0.5]) + 0.1 * rng.normal(size=80)
    alpha, ratio = 0.3, 0.6
    theirs = SklearnElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-12, max_iter=10**5).fit(x, y)
    penalty = ElasticNet(alpha * ratio, alpha * (1 - ratio))
    x_t, y_t, w = torch.tensor(x), torch.tensor(y), torch.zeros(12, dtype=torch.float64)
    step = 1 / float(torch.linalg.matrix_norm(x_t, 2) ** 2 / 80)
    for _ in range(2000):
        w = penalty.prox(w - step * x_t.T @ (x_t @ w - y_t) / 80, step)
    torch.testing.assert_close(w, torch.tensor(theirs.coef_), atol=1e-9, rtol=0)
    assert (w == 0).tolist() == (theirs.coef_ == 0).tolist()
    assert 0 < (w == 0).sum() < 12
