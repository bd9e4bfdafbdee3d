"""Random inputs of transformers' models."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

VOCABULARY = 60
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def tokens(generator: Generator, batch: int, shorter: int = 0) -> Tensor:
    """Random tokens, none of them special; another number of rows is of another length, too."""
    return torch.randint(4, VOCABULARY, (batch, 5 + 2 * batch - shorter), generator=generator)


def text(generator: Generator, batch: int) -> dict[str, Tensor]:
    return {"input_ids": tokens(generator, batch)}


def masked_text(generator: Generator, batch: int) -> dict[str, Tensor]:
    """Text whose last row is shorter than the others."""
    ids = tokens(generator, batch)
    mask = torch.ones_like(ids)
    mask[-1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def uncached_text(generator: Generator, batch: int) -> dict[str, Tensor | bool]:
    return {"input_ids": tokens(generator, batch), "use_cache": False}


def images(side: int) -> Callable[[Generator, int], dict[str, Tensor]]:
    return lambda generator, batch: {"pixel_values": torch.randn(batch, 3, side, side, generator=generator)}
