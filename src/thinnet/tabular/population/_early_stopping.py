"""Early stopping of members, and successive halving of configurations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._trained_population import Trace

_PATIENCE = 0.25
"""Share of the whole training without a better held-out loss after which a member is stopped."""

_SLOW = 0.3
"""Dropout rate from which on a configuration learns late, and is ranked among its like alone."""


def stalled(trace: Trace, done: float) -> bool:
    """Decide whether a member has not improved for long, or never had a finite loss.

    Args:
        trace: of the member.
        done: share of the training that is over.
    """
    if trace.best < 0:
        return len(trace.held_out) > 3  # it diverged
    since = (len(trace.held_out) - 1 - trace.best) / max(len(trace.held_out), 1)
    return done * since > _PATIENCE


def better_half(configurations: Sequence[Configuration], traces: Sequence[Trace], left: Iterable[int]) -> set[int]:
    """Select the better half of the configurations with strong dropout, that of the others, and the unregularized one.

    Args:
        configurations: all of them.
        traces: of their members, configuration by configuration.
        left: which configurations are still there.
    """
    folds = len(traces) // len(configurations)
    score = {m: float(np.mean([t.score for t in traces[m * folds : (m + 1) * folds]])) for m in left}
    chosen = {m for m in score if not configurations[m].regularized}
    for slow in (True, False):
        ranked = sorted((m for m in score if (configurations[m].dropout >= _SLOW) == slow), key=score.__getitem__)
        chosen |= set(ranked[: -(-len(ranked) // 2)])
    return chosen
