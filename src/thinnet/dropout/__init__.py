"""Dropout layers with torch's signatures that draw their masks cheaply."""

from thinnet.dropout._dropout import Dropout, apply_mask
from thinnet.dropout._mask import LEVELS, keep_mask, threshold

__all__ = ["LEVELS", "Dropout", "apply_mask", "keep_mask", "threshold"]
