"""Plans: which rule governs which parameter of a model, and what is wrong with that."""

from thinnet.plan._binding import Binding
from thinnet.plan._convert import from_keras, from_torch
from thinnet.plan._finding import Finding
from thinnet.plan._joint_binding import JointBinding, joint_bindings
from thinnet.plan._layout import Layout, layout_of
from thinnet.plan._penalty_values import penalty_values
from thinnet.plan._plan import Plan
from thinnet.plan._registry import rule_types
from thinnet.plan._step_order import StepOrder, step_order
from thinnet.plan._weights import Weight, unwrap, weights

__all__ = [
    "Binding",
    "Finding",
    "JointBinding",
    "Layout",
    "Plan",
    "StepOrder",
    "Weight",
    "from_keras",
    "from_torch",
    "joint_bindings",
    "layout_of",
    "penalty_values",
    "rule_types",
    "step_order",
    "unwrap",
    "weights",
]
