"""Which rule governs which parameter, and what is wrong with it."""

from thinnet.plan._convert import from_keras, from_torch
from thinnet.plan._coupled import member_name
from thinnet.plan._finding import Finding
from thinnet.plan._plan import Binding, Plan
from thinnet.plan._registry import rule_types

__all__ = ["Binding", "Finding", "Plan", "from_keras", "from_torch", "member_name", "rule_types"]
