"""Torch's multi-head attention with fewer heads than its own class can have."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FewerHeads(nn.MultiheadAttention):
    r"""`nn.MultiheadAttention` whose projections need not be as wide as its input.

    .. math:: y = \sum_{h=1}^{H} W^o_h \, \mathrm{softmax}\left(\frac{q_h k_h^\top}{\sqrt{d}}\right) v_h + b^o

    Torch's class computes d as the width of its input over the number of heads H, so that no head can be removed. Here,
    d is `head_dim` as it was built, and every width is that of the weights: in_proj_weight is (3·H·d, embed_dim),
    out_proj.weight is (embed_dim, H·d). Arguments, results and names of parameters are torch's own; weights that are
    averaged over heads are averaged over those that are left.

    A module gets this class by assignment, see `settle_`.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """See `nn.MultiheadAttention`."""
        if query.is_nested:
            return self._nested(query, key, value, need_weights, average_attn_weights)
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: `is_causal` is a hint about `attn_mask`; give the mask, too.")
        alone, first = query.dim() == 2, self.batch_first
        batch = 0 if first or alone else 1
        q, k, v = self._projected(query, key, value)
        # (B, H, length, d)
        q, k, v = (self._parted(x[None] if alone else x.movedim(batch, 0)) for x in (q, k, v))
        k, v = self._longer(k, self.bias_k), self._longer(v, self.bias_v)
        # the hint is all that the kernel needs where nothing else is masked
        causal = is_causal and key_padding_mask is None and not need_weights
        mask = None if causal else self._mask(attn_mask, key_padding_mask, q, k)
        rate = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ k.transpose(-1, -2) * self.head_dim**-0.5
            weights = F.dropout((scores if mask is None else scores + mask).softmax(-1), rate)
            mixed = weights @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, mask, rate, causal, scale=self.head_dim**-0.5)
        out = self.out_proj(mixed.transpose(1, 2).flatten(2))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if alone:
            return out[0], None if weights is None else weights[0]
        return out.movedim(0, batch), weights

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of all heads, in the layout of the inputs."""
        packed = _packed(self)
        if packed is None:
            weights: tuple[Tensor, ...] = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        elif query is key and key is value:
            return F.linear(query, packed, self.in_proj_bias).chunk(3, -1)
        else:
            weights = packed.chunk(3)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return tuple(map(F.linear, (query, key, value), weights, biases))

    def _parted(self, x: Tensor) -> Tensor:
        """Head by head: (B, length, H·d) as (B, H, length, d)."""
        return x.reshape(*x.shape[:-1], self.num_heads, -1).transpose(1, 2)

    def _longer(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Keys or values with the extra ones that `add_bias_kv` and `add_zero_attn` ask for."""
        if bias is not None:
            x = torch.cat([x, self._parted(bias).expand(len(x), -1, -1, -1)], 2)
        return F.pad(x, (0, 0, 0, 1)) if self.add_zero_attn else x

    def _mask(self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, k: Tensor) -> Tensor | None:
        """What is added to the scores, (B or 1, H or 1, L or 1, S); None where nothing is masked."""
        found = None
        if attn_mask is not None:
            found = _added(attn_mask, q)
            if found.dim() == 3:
                if len(found) != len(q) * self.num_heads:
                    raise ValueError(
                        f"MultiheadAttention: `attn_mask` of shape {tuple(attn_mask.shape)} is for another number of "
                        f"heads than the {self.num_heads} that are left; give (L, S), or (batch·heads, L, S)."
                    )
                found = found.reshape(len(q), self.num_heads, *found.shape[1:])
        if key_padding_mask is not None:
            padding = _added(key_padding_mask, q)
            padding = (padding[None] if padding.dim() == 1 else padding)[:, None, None, :]
            found = padding if found is None else found + padding
        # the extra keys are never masked
        return found if found is None else F.pad(found, (0, k.shape[2] - found.shape[-1]))

    def _nested(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool, average_attn_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Self-attention of sequences of several lengths, as torch's encoder packs padded ones."""
        if query is not key or key is not value:
            raise ValueError("MultiheadAttention: nested tensors are taken for self-attention only; pad and mask them.")
        parts = query.unbind()
        padded = nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        lengths = torch.tensor([len(part) for part in parts], device=padded.device)
        absent = torch.arange(padded.shape[1], device=padded.device) >= lengths[:, None]
        x = padded if self.batch_first else padded.transpose(0, 1)
        out, weights = self(x, x, x, absent, need_weights, None, average_attn_weights)
        out = out if self.batch_first else out.transpose(0, 1)
        return torch.nested.as_nested_tensor([o[: len(p)] for o, p in zip(out, parts, strict=True)]), weights


def _added(mask: Tensor, like: Tensor) -> Tensor:
    """A mask that is True where nothing may be looked at, as what is added to scores."""
    if mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(mask, -torch.inf)


def sizes_of_attention(module: nn.MultiheadAttention) -> dict[str, int]:
    """The attributes of an attention that say its sizes, as its parameters have them."""
    packed = _packed(module)
    query, key, value = (
        (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight) if packed is None else (packed,) * 3
    )
    heads = 1 if module.num_heads == 1 else _rows(module)[0] // module.head_dim
    return {"embed_dim": query.shape[1], "kdim": key.shape[1], "vdim": value.shape[1], "num_heads": heads}


def fits(module: nn.MultiheadAttention) -> bool:
    """Whether torch's own class can run with these weights: they are as wide as its input everywhere."""
    widths = (*_rows(module), *module.out_proj.weight.shape, module.num_heads * module.head_dim)
    return set(widths) == {module.embed_dim}


def _rows(module: nn.MultiheadAttention) -> tuple[int, int]:
    """The width of all heads' queries, and of their values."""
    packed = _packed(module)
    if packed is None:
        return len(module.q_proj_weight), len(module.v_proj_weight)
    return len(packed) // 3, len(packed) // 3


def _packed(module: nn.MultiheadAttention) -> Tensor | None:
    """The weights of all three projections in one; None where keys or values have a width of their own."""
    return module.in_proj_weight
