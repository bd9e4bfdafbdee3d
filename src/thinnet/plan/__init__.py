"""Which rule governs which parameter, and what is wrong with it."""

from thinnet.plan._binding import Binding
from thinnet.plan._convert import from_keras, from_torch
from thinnet.plan._coupled import member_name
from thinnet.plan._finding import Finding
from thinnet.plan._layout import Layout, layout_of
from thinnet.plan._plan import Plan
from thinnet.plan._registry import rule_types
from thinnet.plan._weights import Weight, unwrap, weights

__all__ = [
    "Binding",
    "Finding",
    "Layout",
    "Plan",
    "Weight",
    "from_keras",
    "from_torch",
    "layout_of",
    "member_name",
    "rule_types",
    "unwrap",
    "weights",
]
