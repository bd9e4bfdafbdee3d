"""The small networks of the zoo, by name: every class in their files that says what its units are."""

from __future__ import annotations

from torch import nn

from . import _own_convolution, _own_dense, _own_operations, _own_sequence, _own_traps
from ._specimen import Specimen

OWN = {
    name: Specimen(name, network, network.inputs, network.units)
    for module in (_own_dense, _own_convolution, _own_sequence, _own_operations, _own_traps)
    for name, network in vars(module).items()
    if isinstance(network, type) and issubclass(network, nn.Module) and hasattr(network, "units")
}
