"""Dropout layers with torch's signatures and masks from a few random bits an element."""

from thinnet.dropout._alpha import AlphaDropout
from thinnet.dropout._attention import AttentionDropout
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._channel import ChannelDropout
from thinnet.dropout._concrete import ConcreteDropout, concrete_cost
from thinnet.dropout._drop_block import DropBlock2d
from thinnet.dropout._drop_connect import DropConnect
from thinnet.dropout._drop_path import DropPath
from thinnet.dropout._dropout import Dropout
from thinnet.dropout._embedding import EmbeddingDropout
from thinnet.dropout._gaussian import GaussianDropout
from thinnet.dropout._locked import LockedDropout
from thinnet.dropout._node import NodeDropout
from thinnet.dropout._noise import Noise
from thinnet.dropout._replace import replace_dropout_
from thinnet.dropout._weight_mask import WeightMask, weight_masks

__all__ = [
    "AlphaDropout",
    "AttentionDropout",
    "ChannelDropout",
    "ConcreteDropout",
    "DropBlock2d",
    "DropConnect",
    "DropPath",
    "Dropout",
    "DropoutLayer",
    "EmbeddingDropout",
    "GaussianDropout",
    "LockedDropout",
    "NodeDropout",
    "Noise",
    "WeightMask",
    "concrete_cost",
    "replace_dropout_",
    "weight_masks",
]
