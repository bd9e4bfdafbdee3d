"""Networks of two towers: encoder and decoder, or text and image."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from ._inputs import SIZES, VOCABULARY, text, tokens
from ._patterns import columns, gated, heads, neurons, rows
from ._specimen import Specimen
from ._structures import Place, Units

T5 = {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
HALF = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}


def _t5() -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(T5Config(**T5))


def _t5_encoder() -> nn.Module:
    from transformers import T5Config, T5ForTokenClassification

    return T5ForTokenClassification(T5Config(**T5, num_labels=3, feed_forward_proj="gated-gelu"))


def _whisper() -> nn.Module:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    sizes = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in HALF.items()}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    lengths = {"vocab_size": VOCABULARY, "num_mel_bins": 6, "max_source_positions": 8, "max_target_positions": 12}
    return WhisperForConditionalGeneration(WhisperConfig(d_model=32, **sizes, **special, **lengths))


def _clip() -> nn.Module:
    from transformers import CLIPConfig, CLIPModel

    special = {"bos_token_id": VOCABULARY - 2, "eos_token_id": VOCABULARY - 1}
    towers = {
        "text_config": {**SIZES, **special, "vocab_size": VOCABULARY, "max_position_embeddings": 16},
        "vision_config": {**SIZES, "image_size": 16, "patch_size": 4},
    }
    return CLIPModel(CLIPConfig(**towers, projection_dim=16))


def _t5_inputs(generator: Generator, batch: int) -> dict[str, Tensor | bool]:
    source, target = tokens(generator, batch), tokens(generator, batch, shorter=4)
    return {"input_ids": source, "decoder_input_ids": target, "use_cache": False}


def _whisper_inputs(generator: Generator, batch: int) -> dict[str, Tensor | bool]:
    sound, target = torch.randn(batch, 6, 16, generator=generator), tokens(generator, batch, shorter=4)
    return {"input_features": sound, "decoder_input_ids": target, "use_cache": False}


def _clip_inputs(generator: Generator, batch: int) -> dict[str, Tensor]:
    ids = tokens(generator, batch)
    return {"input_ids": ids, "pixel_values": torch.randn(batch, 3, 16, 16, generator=generator)}


def _t5_heads(model: nn.Module, attentions: list[str]) -> Units:
    """Layers that share one bias by position share their heads."""
    q, k, v, out = ([f"{attention}.{name}" for attention in attentions] for name in "qkvo")
    names = {name for name, _ in model.named_parameters()}
    tables = [f"{attention}.relative_attention_bias.weight" for attention in attentions]
    bias = [Place(table, 1) for table in tables if table in names]
    return Units("heads", 4, (rows(model, *v), columns(*out)), (*rows(model, *q, *k, *v), *columns(*out), *bias))


def _t5_units(model: nn.Module) -> list[Units]:
    encoder, decoder = ([f"{side}.block.{i}.layer" for i in range(2)] for side in ("encoder", "decoder"))
    feeds = [*(f"{layer}.1.DenseReluDense" for layer in encoder), *(f"{layer}.2.DenseReluDense" for layer in decoder)]
    attentions = (
        [f"{layer}.0.SelfAttention" for layer in encoder],
        [f"{layer}.0.SelfAttention" for layer in decoder],
        [f"{layer}.1.EncDecAttention" for layer in decoder],
    )
    return [
        *(_t5_heads(model, layers) for layers in attentions),
        *(neurons(model, f"{feed}.wi", f"{feed}.wo") for feed in feeds),
    ]


def _t5_encoder_units(model: nn.Module) -> list[Units]:
    name = "transformer.encoder"
    attentions, feeds = ([f"{name}.block.{i}.layer.{part}" for i in range(2)] for part in ("0", "1"))
    norms = [*(f"{layer}.layer_norm" for layer in (*attentions, *feeds)), f"{name}.final_layer_norm"]
    attentions = [f"{layer}.SelfAttention" for layer in attentions]
    feeds = [f"{layer}.DenseReluDense" for layer in feeds]
    writers = [*(f"{layer}.o" for layer in attentions), *(f"{layer}.wo" for layer in feeds)]
    readers = [f"{layer}.{part}" for layer in attentions for part in "qkv"]
    readers += [f"{layer}.{part}" for layer in feeds for part in ("wi_0", "wi_1")]
    silent = (*columns("transformer.shared"), *rows(model, *writers))
    members = (*silent, *rows(model, *norms), *columns(*readers, "classifier"))
    return [
        _t5_heads(model, attentions),
        *(gated(model, f"{feed}.wi_0", f"{feed}.wi_1", f"{feed}.wo") for feed in feeds),
        Units("stream", 32, (silent,), members),
    ]


def _layer_units(model: nn.Module, layer: str, feed: str, attentions: tuple[str, ...] = ("self_attn",)) -> list[Units]:
    units = [
        heads(model, 4, *(f"{layer}.{attention}.{name}_proj" for name in ("q", "k", "v", "out")))
        for attention in attentions
    ]
    return [*units, neurons(model, f"{layer}.{feed}fc1", f"{layer}.{feed}fc2")]


def _whisper_units(model: nn.Module) -> list[Units]:
    units = []
    for i in range(2):
        units += _layer_units(model, f"model.encoder.layers.{i}", "")
        units += _layer_units(model, f"model.decoder.layers.{i}", "", ("self_attn", "encoder_attn"))
    first, second = "model.encoder.conv1", columns("model.encoder.conv2")
    ways = rows(model, first), second
    return [*units, Units("channels", 32, ways, (*rows(model, first), *second))]


def _clip_units(model: nn.Module) -> list[Units]:
    layers = [f"{side}_model.encoder.layers.{i}" for side in ("text", "vision") for i in range(2)]
    return [unit for layer in layers for unit in _layer_units(model, layer, "mlp.")]


SPECIMENS = (
    Specimen("T5", _t5, _t5_inputs, _t5_units),
    Specimen("T5, tokens", _t5_encoder, text, _t5_encoder_units),
    Specimen("Whisper", _whisper, _whisper_inputs, _whisper_units),
    Specimen("CLIP", _clip, _clip_inputs, _clip_units),
)
