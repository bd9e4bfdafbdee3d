"""Penalties, terms of the cost beside the loss, and decays, as pure functions of a tensor and a strength."""

from thinnet.penalties._base import Decay, Penalty, WeightPenalty
from thinnet.penalties._coupled_group_lasso import CoupledGroupLasso, coupled_group_lasso, coupled_group_lasso_prox_
from thinnet.penalties._elastic_net import ElasticNet, elastic_net, elastic_net_prox
from thinnet.penalties._group_lasso import GroupLasso, group_lasso, group_lasso_prox
from thinnet.penalties._joint_penalty import JointPenalty
from thinnet.penalties._l1 import L1, l1, l1_prox
from thinnet.penalties._l2 import L2, l2, l2_gradient, l2_prox
from thinnet.penalties._weight_decay import WeightDecay, weight_decay

__all__ = [
    "L1",
    "L2",
    "CoupledGroupLasso",
    "Decay",
    "ElasticNet",
    "GroupLasso",
    "JointPenalty",
    "Penalty",
    "WeightDecay",
    "WeightPenalty",
    "coupled_group_lasso",
    "coupled_group_lasso_prox_",
    "elastic_net",
    "elastic_net_prox",
    "group_lasso",
    "group_lasso_prox",
    "l1",
    "l1_prox",
    "l2",
    "l2_gradient",
    "l2_prox",
    "weight_decay",
]
