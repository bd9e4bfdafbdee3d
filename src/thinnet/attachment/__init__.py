"""Penalties and constraints of a plan, applied on every step of any optimizer."""

from thinnet.attachment._attach import attach
from thinnet.attachment._attachment import Attachment, is_attached
from thinnet.attachment._proximal_step import proximal_step_
from thinnet.attachment._summary import Row, Summary

__all__ = ["Attachment", "Row", "Summary", "attach", "is_attached", "proximal_step_"]
