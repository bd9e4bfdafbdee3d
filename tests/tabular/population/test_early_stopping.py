import numpy as np
import pytest

from thinnet import L2
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._early_stopping import better_half, stalled
from thinnet.tabular.population._trained_population import Trace


def trace(score: float, *, configuration: int = 0, fold: int = 0, best: int = 0, length: int = 1) -> Trace:
    return Trace(configuration, fold, [0.0] * length, [0.0] * length, [score] * length, best)


@pytest.mark.parametrize(
    ("best", "length", "done", "leaves"),
    [
        (7, 8, 1.0, False),
        (4, 8, 1.0, True),  # 3 of 8 evaluations without a better one
        (4, 8, 0.5, False),  # the same, of half a training
        (-1, 3, 0.1, False),
        (-1, 4, 0.1, True),
    ],
)
def test_a_member_leaves_after_a_quarter_of_the_training_without_gain(
    best: int, length: int, done: float, leaves: bool
) -> None:
    assert stalled(trace(0.5, best=best, length=length), done) == leaves


def test_the_better_half_of_each_kind_stays_and_the_unregularized() -> None:
    configurations = [
        Configuration(),
        *(Configuration((L2(1e-3),)) for _ in range(3)),
        *(Configuration(dropout=0.4) for _ in range(3)),
    ]
    scores = [9.0, 0.3, 0.1, 0.2, 5.0, 4.0, 6.0]
    traces = [
        trace(score + d, configuration=m, fold=f) for m, score in enumerate(scores) for f, d in enumerate((-0.01, 0.01))
    ]
    assert better_half(configurations, traces, range(7)) == {0, 2, 3, 4, 5}
    assert better_half(configurations, traces, [1, 2, 6]) == {2, 6}
    traces[4].held_out[0] = np.inf  # in one fold without a score
    assert better_half(configurations, traces, [1, 2]) == {1}
