"""Dropout layers with torch's signatures that draw their masks cheaply."""

from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._dropout import Dropout, apply_mask
from thinnet.dropout._mask import LEVELS, keep_mask, threshold
from thinnet.dropout._node_sets import node_sets
from thinnet.dropout._noise import Noise
from thinnet.dropout._replace import replace_dropout

__all__ = [
    "LEVELS",
    "Dropout",
    "DropoutLayer",
    "Noise",
    "apply_mask",
    "keep_mask",
    "node_sets",
    "replace_dropout",
    "threshold",
]
