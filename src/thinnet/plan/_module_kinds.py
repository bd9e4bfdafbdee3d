"""Which modules are normalizations or embeddings, and which attributes are biases."""

from __future__ import annotations

from torch import nn


def is_norm(module: nn.Module) -> bool:
    """Whether `module` normalizes: torch's own norms, and whatever carries Norm in its name."""
    return "Norm" in type(module).__name__ or isinstance(module, nn.modules.batchnorm._NormBase)


def is_embedding(module: nn.Module) -> bool:
    """Whether `module` looks rows up in a table."""
    return isinstance(module, nn.Embedding | nn.EmbeddingBag)


def is_bias(attribute: str) -> bool:
    """Whether an attribute names a bias: `bias`, `in_proj_bias`, `bias_hh_l0`, `bias_k`."""
    return "bias" in attribute
