"""Dropout layers with torch's signatures that draw their masks cheaply."""

from thinnet.dropout._alpha import AlphaDropout
from thinnet.dropout._attention import AttentionDropout
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._chains import Chain, Chains, thinnable
from thinnet.dropout._channel import ChannelDropout
from thinnet.dropout._concrete import ConcreteDropout, concrete_cost
from thinnet.dropout._drop_block import DropBlock2d
from thinnet.dropout._drop_connect import DropConnect
from thinnet.dropout._drop_path import DropPath
from thinnet.dropout._dropout import Dropout, apply_mask
from thinnet.dropout._embedding import EmbeddingDropout
from thinnet.dropout._gaussian import GaussianDropout
from thinnet.dropout._hash import SPLITMIX64_STEP, splitmix64, splitmix64_, splitmix64_array_
from thinnet.dropout._locked import LockedDropout
from thinnet.dropout._mask import LEVELS, keep_mask, threshold
from thinnet.dropout._node import NodeDropout
from thinnet.dropout._node_sets import node_sets
from thinnet.dropout._noise import Noise
from thinnet.dropout._replace import replace_dropout
from thinnet.dropout._schedule import RateSchedule, cosine_ramp, curriculum, linear_ramp, off_after, on_after
from thinnet.dropout._thin import thin
from thinnet.dropout._weight_mask import WeightMask, weight_masks

__all__ = [
    "LEVELS",
    "SPLITMIX64_STEP",
    "AlphaDropout",
    "AttentionDropout",
    "Chain",
    "Chains",
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
    "RateSchedule",
    "WeightMask",
    "apply_mask",
    "concrete_cost",
    "cosine_ramp",
    "curriculum",
    "keep_mask",
    "linear_ramp",
    "node_sets",
    "off_after",
    "on_after",
    "replace_dropout",
    "splitmix64",
    "splitmix64_",
    "splitmix64_array_",
    "thin",
    "thinnable",
    "threshold",
    "weight_masks",
]
