"""Batched training of many regularized networks of one architecture."""

from thinnet.stack._adam import StackAdam
from thinnet.stack._layer import Activation
from thinnet.stack._loss import stack_cross_entropy, stack_squared_error
from thinnet.stack._member import Member
from thinnet.stack._predict import predict
from thinnet.stack._stack import Stack

__all__ = ["Activation", "Member", "Stack", "StackAdam", "predict", "stack_cross_entropy", "stack_squared_error"]
