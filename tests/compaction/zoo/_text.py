"""Encoders of text: their streams end in layer normalisations, so heads and neurons are what can go."""

from __future__ import annotations

from torch import nn

from ._inputs import SIZES, VOCABULARY, masked_text, text
from ._patterns import columns, heads, neurons, rows
from ._specimen import Specimen
from ._structures import Place, Units

TEXT = {"vocab_size": VOCABULARY, "max_position_embeddings": 16, "num_labels": 3}
DISENTANGLED = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}


def _bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**TEXT, **SIZES))


def _roberta() -> nn.Module:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    return RobertaForSequenceClassification(RobertaConfig(**TEXT, **SIZES))


def _distilbert() -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    return DistilBertForSequenceClassification(DistilBertConfig(**TEXT, **sizes))


def _albert() -> nn.Module:
    from transformers import AlbertConfig, AlbertForMaskedLM

    return AlbertForMaskedLM(AlbertConfig(**TEXT, **SIZES, embedding_size=16))


def _deberta() -> nn.Module:
    from transformers import DebertaConfig, DebertaForSequenceClassification

    return DebertaForSequenceClassification(DebertaConfig(**TEXT, **SIZES, **DISENTANGLED))


def _deberta_v2() -> nn.Module:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    shared = {"share_att_key": True, "position_buckets": 4, "norm_rel_ebd": "layer_norm", "conv_kernel_size": 3}
    return DebertaV2ForSequenceClassification(DebertaV2Config(**TEXT, **SIZES, **DISENTANGLED, **shared))


def _bert_layer(model: nn.Module, layer: str, projections: tuple[str, str, str]) -> list[Units]:
    q, k, v = (f"{layer}.attention.self.{name}" for name in projections)
    return [
        heads(model, 4, q, k, v, f"{layer}.attention.output.dense"),
        neurons(model, f"{layer}.intermediate.dense", f"{layer}.output.dense"),
    ]


def _bert_units(model: nn.Module) -> list[Units]:
    names = "query", "key", "value"
    layers = [unit for i in range(2) for unit in _bert_layer(model, f"bert.encoder.layer.{i}", names)]
    return [*layers, neurons(model, "bert.pooler.dense", "classifier")]


def _roberta_units(model: nn.Module) -> list[Units]:
    names = "query", "key", "value"
    layers = [unit for i in range(2) for unit in _bert_layer(model, f"roberta.encoder.layer.{i}", names)]
    return [*layers, neurons(model, "classifier.dense", "classifier.out_proj")]


def _distilbert_units(model: nn.Module) -> list[Units]:
    units = []
    for i in range(2):
        layer = f"distilbert.transformer.layer.{i}"
        q, k, v, out = (f"{layer}.attention.{name}_lin" for name in ("q", "k", "v", "out"))
        units += [heads(model, 4, q, k, v, out), neurons(model, f"{layer}.ffn.lin1", f"{layer}.ffn.lin2")]
    return [*units, neurons(model, "pre_classifier", "classifier")]


def _albert_units(model: nn.Module) -> list[Units]:
    layer = "albert.encoder.albert_layer_groups.0.albert_layers.0"
    q, k, v, out = (f"{layer}.attention.{name}" for name in ("query", "key", "value", "dense"))
    return [heads(model, 4, q, k, v, out), neurons(model, f"{layer}.ffn", f"{layer}.ffn_output")]


def _deberta_units(model: nn.Module) -> list[Units]:
    units = []
    for i in range(2):
        layer = f"deberta.encoder.layer.{i}"
        own, out = f"{layer}.attention.self", columns(f"{layer}.attention.output.dense")
        # one projection holds query, key and value of each head in turn
        value = Place(f"{own}.in_proj.weight", inner=3, part=2), Place(f"{own}.v_bias")
        fused = Place(f"{own}.in_proj.weight"), Place(f"{own}.q_bias"), Place(f"{own}.v_bias")
        positions = rows(model, f"{own}.pos_proj", f"{own}.pos_q_proj")
        units.append(Units("heads", 4, (value, out), (*fused, *positions, *out)))
        units.append(neurons(model, f"{layer}.intermediate.dense", f"{layer}.output.dense"))
    return [*units, neurons(model, "pooler.dense", "classifier")]


def _deberta_v2_units(model: nn.Module) -> list[Units]:
    names = "query_proj", "key_proj", "value_proj"
    layers = [unit for i in range(2) for unit in _bert_layer(model, f"deberta.encoder.layer.{i}", names)]
    return [*layers, neurons(model, "pooler.dense", "classifier")]


SPECIMENS = (
    Specimen("BERT", _bert, masked_text, _bert_units),
    Specimen("DistilBERT", _distilbert, masked_text, _distilbert_units),
    Specimen("RoBERTa", _roberta, text, _roberta_units),
    Specimen("ALBERT", _albert, text, _albert_units),
    Specimen("DeBERTa", _deberta, text, _deberta_units),
    Specimen("DeBERTa-v2", _deberta_v2, masked_text, _deberta_v2_units),
)
