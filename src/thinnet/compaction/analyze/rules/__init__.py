"""What each operation does to knowledge and to labels, one file a family."""

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
from thinnet.compaction.analyze.rules._base import KNOWLEDGE, LABELLING
from thinnet.compaction.analyze.rules._elementwise import knowledge_of_elementwise, labelling_of_elementwise

__all__ = ["KNOWLEDGE", "LABELLING", "knowledge_of_elementwise", "labelling_of_elementwise"]
