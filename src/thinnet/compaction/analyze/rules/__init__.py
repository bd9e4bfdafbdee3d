"""Rules of constant propagation and of dependency groups for each operation, one file a family."""

from thinnet.compaction.analyze.rules import (  # noqa: F401 - importing registers the rules
    _attention,
    _convolution,
    _embedding,
    _join,
    _linear,
    _movement,
    _norms,
    _pooling,
    _recurrent,
    _reductions,
)
from thinnet.compaction.analyze.rules._base import CONSTANT_RULES, DEPENDENCY_RULES
from thinnet.compaction.analyze.rules._elementwise import elementwise_constants, elementwise_dependencies

__all__ = ["CONSTANT_RULES", "DEPENDENCY_RULES", "elementwise_constants", "elementwise_dependencies"]
