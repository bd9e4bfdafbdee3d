"""What each operation does to knowledge and to labels, one file a family."""

from thinnet.compact.rules import (  # noqa: F401 - importing registers the rules
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
from thinnet.compact.rules._base import KNOWLEDGE, LABELLING, Call, Known
from thinnet.compact.rules._elementwise import knowledge_of_elementwise, labelling_of_elementwise

__all__ = ["KNOWLEDGE", "LABELLING", "Call", "Known", "knowledge_of_elementwise", "labelling_of_elementwise"]
