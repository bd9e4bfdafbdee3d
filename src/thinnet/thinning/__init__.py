"""Neuron dropout that skips the computation of the dropped neurons."""

from thinnet.thinning._chains import Chain, Chains, thinnable
from thinnet.thinning._node_sets import node_sets
from thinnet.thinning._thin import thin_

__all__ = ["Chain", "Chains", "node_sets", "thin_", "thinnable"]
