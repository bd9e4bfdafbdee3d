"""Decoders of text: GPT-2 under layer normalisations, and those under RMS normalisations, whose stream can shrink."""

from __future__ import annotations

from torch import nn

from ._inputs import SIZES, VOCABULARY, uncached_text
from ._patterns import columns, gated, heads, rows
from ._specimen import Specimen
from ._structures import Place, Units

ROPE = {"vocab_size": VOCABULARY, "max_position_embeddings": 32, "num_key_value_heads": 2}


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}
    return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=2))


def _llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SIZES, **ROPE))


def _mistral() -> nn.Module:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(**SIZES, **ROPE, sliding_window=4, tie_word_embeddings=True))


def _gpt2_units(model: nn.Module) -> list[Units]:
    """GPT-2 keeps its weights transposed, and query, key and value of all heads one after another."""
    units = []
    for i in range(2):
        layer = f"transformer.h.{i}"
        fused = [(f"{layer}.attn.c_attn.weight", 1), (f"{layer}.attn.c_attn.bias", 0)]
        out = Place(f"{layer}.attn.c_proj.weight", 0)
        value = tuple(Place(name, dim, outer=3, part=2) for name, dim in fused)
        members = (*(Place(name, dim, outer=3) for name, dim in fused), out)
        units.append(Units("heads", 4, (value, (out,)), members))
        weight, bias = Place(f"{layer}.mlp.c_fc.weight", 1), Place(f"{layer}.mlp.c_fc.bias")
        reader = Place(f"{layer}.mlp.c_proj.weight", 0)
        units.append(Units("neurons", 128, ((weight, bias), (reader,)), (weight, bias, reader), (weight,)))
    return units


def _rope_units(model: nn.Module) -> list[Units]:
    units, writers, readers, norms = [], ["model.embed_tokens"], [], ["model.norm"]
    for i in range(2):
        layer = f"model.layers.{i}"
        q, k, v, out = (f"{layer}.self_attn.{name}_proj" for name in "qkvo")
        gate, up, down = (f"{layer}.mlp.{name}_proj" for name in ("gate", "up", "down"))
        units += [heads(model, 2, q, k, v, out), gated(model, gate, up, down)]
        writers += [out, down]
        readers += [q, k, v, gate, up]
        norms += [f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm"]
    embedding, *inner = writers
    silent = (*columns(embedding), *rows(model, *inner))
    tied = "lm_head.weight" not in dict(model.named_parameters())
    members = (*silent, *rows(model, *norms), *columns(*readers, *([] if tied else ["lm_head"])))
    return [*units, Units("stream", 32, (silent,), members)]


SPECIMENS = (
    Specimen("GPT-2", _gpt2, uncached_text, _gpt2_units),
    Specimen("Llama", _llama, uncached_text, _rope_units),
    Specimen("Mistral", _mistral, uncached_text, _rope_units),
)
