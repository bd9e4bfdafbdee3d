"""Transformers of images, and ConvNeXt, which is built like one."""

from __future__ import annotations

from torch import nn

from ._inputs import SIZES, images
from ._patterns import columns, heads, neurons, rows
from ._specimen import Specimen
from ._structures import Place, Units

PATCHES = {"image_size": 16, "patch_size": 4, "num_labels": 3}


def _vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(**PATCHES, **SIZES))


def _deit() -> nn.Module:
    from transformers import DeiTConfig, DeiTForImageClassificationWithTeacher

    return DeiTForImageClassificationWithTeacher(DeiTConfig(**PATCHES, **SIZES))


def _swin() -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    stages = {"embed_dim": 16, "depths": [2, 2], "num_heads": [4, 8], "window_size": 2, "mlp_ratio": 2.0}
    return SwinForImageClassification(SwinConfig(image_size=32, patch_size=4, num_labels=3, **stages))


def _convnext() -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    stages = {"hidden_sizes": [8, 16], "depths": [2, 2], "num_stages": 2}
    return ConvNextForImageClassification(ConvNextConfig(image_size=32, patch_size=4, num_labels=3, **stages))


def _attention(model: nn.Module, layer: str) -> tuple[str, str, str, str]:
    q, k, v, out = (f"{layer}.attention.{name}_proj" for name in "qkvo")
    return q, k, v, out


def _vit_units(model: nn.Module, name: str = "vit") -> list[Units]:
    units = []
    for i in range(2):
        layer = f"{name}.layers.{i}"
        units += [heads(model, 4, *_attention(model, layer)), neurons(model, f"{layer}.mlp.fc1", f"{layer}.mlp.fc2")]
    return units


def _swin_units(model: nn.Module) -> list[Units]:
    units = []
    for stage, count in enumerate((4, 8)):
        for block in range(2):
            layer = f"swin.encoder.layers.{stage}.blocks.{block}"
            q, k, v, out = _attention(model, layer)
            table = Place(f"{layer}.attention.relative_position_bias.relative_position_bias_table", 1)
            members = (*rows(model, q, k, v), *columns(out), table)
            units.append(Units("heads", count, (rows(model, v), columns(out)), members))
            units.append(neurons(model, f"{layer}.mlp.fc1", f"{layer}.mlp.fc2"))
    return units


def _convnext_units(model: nn.Module) -> list[Units]:
    layers = [f"convnext.encoder.stages.{stage}.layers.{i}" for stage in range(2) for i in range(2)]
    return [neurons(model, f"{layer}.pwconv1", f"{layer}.pwconv2") for layer in layers]


SPECIMENS = (
    Specimen("ViT", _vit, images(16), _vit_units),
    Specimen("DeiT", _deit, images(16), lambda model: _vit_units(model, "deit")),
    Specimen("Swin", _swin, images(32), _swin_units),
    Specimen("ConvNeXt", _convnext, images(32), _convnext_units),
)
