"""Sizes that modules keep as attributes, worked out anew from their shrunken parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from thinnet.compaction.shrink._heads import FewerHeads, fits, sizes_of_attention

Sizes = dict[str, Any]

_GATES = {"LSTM": 4, "GRU": 3}


def sizes_of(module: nn.Module, channels: int | None = None) -> Sizes:
    """The attributes of a torch layer that say its sizes, as its parameters have them; empty for other modules.

    Args:
        module: a layer whose parameters have shrunk already, its attributes not yet.
        channels: how many channels its input has now, for a layer that has no parameter to tell.
    """
    if isinstance(module, nn.Linear):
        return {"out_features": module.weight.shape[0], "in_features": module.weight.shape[1]}
    if isinstance(module, _ConvNd):
        return _convolution(module)
    if isinstance(module, _NormBase):
        known = module.weight if module.weight is not None else module.running_mean
        return {"num_features": channels if known is None else len(known)}
    if isinstance(module, nn.GroupNorm):
        per_group = module.num_channels // module.num_groups
        n = channels if module.weight is None else len(module.weight)
        return {"num_channels": n, "num_groups": n // per_group} if n else {}
    if isinstance(module, nn.LayerNorm | nn.RMSNorm) and module.weight is not None:
        return {"normalized_shape": tuple(module.weight.shape)}
    if isinstance(module, nn.Embedding):
        return {"num_embeddings": module.weight.shape[0], "embedding_dim": module.weight.shape[1]}
    if isinstance(module, nn.PReLU):
        return {"num_parameters": module.weight.numel()}
    if isinstance(module, nn.MultiheadAttention) and type(module) in (nn.MultiheadAttention, FewerHeads):
        return sizes_of_attention(module)
    if isinstance(module, nn.RNNBase):
        rows, width = _shape(module, "weight_ih_l0")
        return {"input_size": width, "hidden_size": rows // _GATES.get(module.mode, 1)}
    if isinstance(module, nn.RNNCellBase):
        return {"input_size": _shape(module, "weight_ih")[1], "hidden_size": _shape(module, "weight_hh")[1]}
    if type(module).__name__ == "Conv1D" and isinstance(getattr(module, "nf", None), int):
        width, features = _shape(module, "weight")  # transformers' linear layer, stored (in, out)
        return {"nf": features, "nx": width}
    return {}


def settle_(module: nn.Module) -> None:
    """Do what else a torch layer needs once it is smaller."""
    if isinstance(module, nn.RNNBase):
        module.flatten_parameters()  # cuDNN wants its weights in one piece of memory
    elif type(module) is nn.MultiheadAttention and not fits(module):
        module.__class__ = FewerHeads
        # what makes torch's encoder layers call it instead of their fused path, which reads its weights by itself
        module._qkv_same_embed_dim = False


def _convolution(module: _ConvNd) -> Sizes:
    first, second = module.weight.shape[:2]
    if module.transposed:
        groups = first // (module.in_channels // module.groups) if module.groups > 1 else 1
        return {"in_channels": first, "out_channels": second * groups, "groups": groups}
    groups = first // (module.out_channels // module.groups) if module.groups > 1 else 1
    return {"out_channels": first, "in_channels": second * groups, "groups": groups}


def _shape(module: nn.Module, name: str) -> torch.Size:
    found = getattr(module, name)
    assert isinstance(found, torch.Tensor)
    return found.shape
