"""Convolutional networks: inner channels, channels of a stage's residual stream, groups of grouped convolutions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

from ._inputs import images
from ._patterns import channels, columns, neurons, rows, size
from ._specimen import Specimen
from ._structures import Place, Units


def _resnet(**settings: object) -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(ResNetConfig(embedding_size=8, depths=[2, 2], num_labels=3, **settings))


def _basic() -> nn.Module:
    return _resnet(hidden_sizes=[8, 16], layer_type="basic")


def _bottleneck() -> nn.Module:
    return _resnet(hidden_sizes=[32, 64], layer_type="bottleneck")


def _regnet() -> nn.Module:
    from transformers import RegNetConfig, RegNetForImageClassification

    sizes = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [2, 2], "groups_width": 4}
    return RegNetForImageClassification(RegNetConfig(**sizes, num_labels=3, layer_type="y"))


def _mobilenet() -> nn.Module:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    sizes = {"depth_multiplier": 0.25, "depth_divisible_by": 4, "min_depth": 4, "finegrained_output": False}
    return MobileNetV2ForImageClassification(MobileNetV2Config(**sizes, num_labels=3))


def _stream(model: nn.Module, writers: Sequence[tuple[str, str]], readers: Sequence[str]) -> Units:
    """A channel that several convolutions, each under its normalisation, add to."""
    norms = rows(model, *(norm for _, norm in writers))
    members = (*rows(model, *(conv for conv, _ in writers)), *norms, *columns(*readers))
    return Units("stream", size(model, writers[0][0]), (norms, columns(*readers)), members)


def _pair(layer: str) -> tuple[str, str]:
    return f"{layer}.convolution", f"{layer}.normalization"


def _residual_units(model: nn.Module, name: str, last: int) -> list[Units]:
    """The streams of ResNet and RegNet: two stages of two blocks, `last` the number of a block's last convolution."""
    blocks = [[f"{name}.encoder.stages.{stage}.layers.{i}" for i in range(2)] for stage in range(2)]
    layers = {layer for layer, _ in model.named_modules()}

    def shortcut(block: str) -> list[str]:
        return [f"{block}.shortcut"] if f"{block}.shortcut.convolution" in layers else []

    def readers(block: str) -> list[str]:
        return [_pair(f"{block}.layer.0")[0], *(_pair(one)[0] for one in shortcut(block))]

    streams, stem = [], [f"{name}.embedder.embedder"]
    if shortcut(blocks[0][0]):
        streams.append(([_pair(stem[0])], readers(blocks[0][0])))
        stem = []
    for stage, (first, second) in enumerate(blocks):
        start = stem if stage == 0 and stem else shortcut(first)
        writers = [*start, f"{first}.layer.{last}", f"{second}.layer.{last}"]
        inside = [_pair(f"{second}.layer.0")[0], *(readers(first) if start == stem else [])]
        after = readers(blocks[1][0]) if stage == 0 else ["classifier.1"]
        streams.append(([_pair(writer) for writer in writers], [*inside, *after]))
    return [_stream(model, writers, reading) for writers, reading in streams]


def _resnet_units(model: nn.Module, inner: int) -> list[Units]:
    units = _residual_units(model, "resnet", inner)
    for stage in range(2):
        for i in range(2):
            layers = [f"resnet.encoder.stages.{stage}.layers.{i}.layer.{n}" for n in range(inner + 1)]
            units += [channels(model, _pair(layer), [_pair(after)[0]]) for layer, after in itertools.pairwise(layers)]
    return units


def _regnet_units(model: nn.Module) -> list[Units]:
    units = _residual_units(model, "regnet", 3)
    for stage in range(2):
        for i in range(2):
            layer = f"regnet.encoder.stages.{stage}.layers.{i}.layer"
            before, grouped, after = (_pair(f"{layer}.{n}") for n in (0, 1, 3))
            squeeze, excite = f"{layer}.2.attention.0", f"{layer}.2.attention.2"
            readers = columns(after[0], squeeze)
            members = (*rows(model, *before, *grouped, excite), *readers)
            count = size(model, grouped[0]) // 4
            units.append(Units("groups", count, (rows(model, grouped[1]), readers), members))
            units.append(neurons(model, squeeze, excite, "squeezed"))
    return units


def _mobilenet_units(model: nn.Module) -> list[Units]:
    name = "mobilenet_v2"
    stem, layers = f"{name}.conv_stem", [f"{name}.layer.{i}" for i in range(16)]
    units = []
    for layer in [stem, *layers]:
        expand, depthwise = (
            _pair(f"{layer}.{'first_conv' if layer == stem else 'expand_1x1'}"),
            _pair(f"{layer}.conv_3x3"),
        )
        readers = columns(_pair(f"{layer}.reduce_1x1")[0])
        # a depthwise convolution has no second dimension of channels: the unit is one row of both
        ways = rows(model, expand[1], depthwise[1]), rows(model, depthwise[1]), readers
        members = (*rows(model, *expand, *depthwise), *readers)
        units.append(Units("channels", size(model, expand[0]), ways, members))
    streams = [([stem], [])]
    for layer in layers:
        streams[-1][1].append(f"{layer}.expand_1x1.convolution")
        if model.get_submodule(layer).use_residual:
            streams[-1][0].append(layer)
        else:
            streams.append(([layer], []))
    final = _pair(f"{name}.conv_1x1")
    streams[-1][1].append(final[0])
    units += [_stream(model, [_pair(f"{w}.reduce_1x1") for w in writers], readers) for writers, readers in streams]
    head = columns("classifier")
    members = (*rows(model, *final), *head)
    constant = (
        Place(f"{final[1]}.weight"),
    )  # the shift is left, and the pooled constant goes into the classifier's bias
    return [*units, Units("channels", size(model, final[0]), (rows(model, final[1]), head), members, constant)]


SPECIMENS = (
    Specimen("ResNet", _basic, images(32), lambda model: _resnet_units(model, 1)),
    Specimen("ResNet, bottleneck", _bottleneck, images(32), lambda model: _resnet_units(model, 2)),
    Specimen("RegNet", _regnet, images(32), _regnet_units),
    Specimen("MobileNetV2", _mobilenet, images(32), _mobilenet_units),
)
