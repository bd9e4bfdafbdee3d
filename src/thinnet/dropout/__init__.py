"""Dropout layers with torch's signatures that draw their masks cheaply."""

from thinnet.dropout._dropout import Dropout
from thinnet.dropout._mask import keep_mask, threshold

__all__ = ["Dropout", "keep_mask", "threshold"]
