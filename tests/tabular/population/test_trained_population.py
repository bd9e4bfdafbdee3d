from collections.abc import Callable

import numpy as np
import pytest
import torch

from thinnet import L1, L2
from thinnet.stack import predict
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Trace
from thinnet.tabular.population._training import Training

Make, Train = Callable[..., Problem], Callable[..., Training]

CONFIGURATIONS = [
    Configuration(),
    Configuration(dropout=0.3),
    Configuration((L2(1e-2),), encodings=()),
    Configuration((L1(1e-3),), lr=1e-2),
]


def test_joined_populations_keep_their_members(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    first, second = train(problem, CONFIGURATIONS[:2]).result(), train(problem, CONFIGURATIONS[2:], seed=5).result()
    scores = [*first.scores(), *second.scores()]
    outputs = [predict(t.stack, problem.x_ND) for t in (first, second)]
    oof = np.concatenate([first.oof_MNC, second.oof_MNC])
    first.join(second)
    assert first.configurations == CONFIGURATIONS
    assert first.complete == [True] * 4
    assert [(t.configuration, t.fold) for t in first.traces] == [(m, f) for m in range(4) for f in range(3)]
    assert first.scores().tolist() == scores
    np.testing.assert_array_equal(first.oof_MNC, oof)
    torch.testing.assert_close(predict(first.stack, problem.x_ND), torch.cat(outputs))
    assert [t.configuration for t in second.traces] == [0] * 3 + [1] * 3  # the other one is left as it was


def test_a_part_is_some_configurations_apart_from_the_rest(make_problem: Make, train: Train) -> None:
    problem = make_problem(3)
    trained = train(problem, CONFIGURATIONS).result()
    part = trained.part([2, 0])
    assert part.configurations == [CONFIGURATIONS[2], CONFIGURATIONS[0]]
    assert part.complete == [True, True]
    assert [(t.configuration, t.fold) for t in part.traces] == [(m, f) for m in range(2) for f in range(3)]
    assert part.scores().tolist() == trained.scores()[[2, 0]].tolist()
    np.testing.assert_array_equal(part.oof_MNC, trained.oof_MNC[[2, 0]])
    both = [predict(each.stack, problem.x_ND) for each in (part, trained)]
    torch.testing.assert_close(both[0], both[1][[6, 7, 8, 0, 1, 2]])
    part.oof_MNC[:], part.traces[0].best = 0, -1
    part.stack.weights[0].data.zero_()
    assert np.isfinite(trained.scores()).all()
    assert trained.oof_MNC.any(axis=(1, 2)).all() and trained.stack.weights[0].any()


def test_zeros_of_unseen_inputs_do_not_count(make_problem: Make, train: Train) -> None:
    trained = train(make_problem(1), CONFIGURATIONS, steps=2).result()
    for weights in trained.stack.weights:
        weights.data.fill_(1.0)
    first, second = trained.stack.weights
    first.data[6, :, 3:] = 0  # unseen
    first.data[6, 0, :2] = second.data[6, 0, 0] = 0  # 3 of 8 · 3 + 8
    first.data[0, :, 3:] = 0  # seen: 24 of 8 · 6 + 8
    assert trained.zeros(6) == pytest.approx(3 / 32)
    assert trained.zeros(0) == pytest.approx(24 / 56)
    assert trained.zeros(1) == 0


def test_a_curve_goes_on_from_its_best_moment() -> None:
    trace = Trace(2, 1, [1.0, 2.0, 3.0], [0.5, 0.4, 0.3], [0.9, 0.7, 0.8], best=1)
    assert trace.resumed() == Trace(2, 1, [2.0], [0.4], [0.7], best=0)
    assert trace.epochs == [1.0, 2.0, 3.0]
