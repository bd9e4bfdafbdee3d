"""The families of transformers on which `tn.compact` is judged, by name."""

from __future__ import annotations

from . import _convolutional, _decoders, _pairs, _text, _vision

FAMILIES = {
    specimen.name: specimen
    for module in (_text, _vision, _convolutional, _decoders, _pairs)
    for specimen in module.SPECIMENS
}
