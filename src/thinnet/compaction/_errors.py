"""The error of a model that cannot be compacted."""

from __future__ import annotations


class NotCompactableError(ValueError):
    """A model cannot be made smaller with equal outputs; the message says what stopped it, and nothing was changed."""
