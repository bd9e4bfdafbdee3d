"""A plan at work inside an optimizer's step."""

from thinnet.attach._attach import attach
from thinnet.attach._attachment import Attachment, is_attached
from thinnet.attach._proximal_step import proximal_step_
from thinnet.attach._summary import Row, Summary

__all__ = ["Attachment", "Row", "Summary", "attach", "is_attached", "proximal_step_"]
