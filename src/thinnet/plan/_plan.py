"""A plan: which rule governs which parameter."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch.optim import Optimizer

from thinnet.plan._bind import bind
from thinnet.plan._binding import Binding
from thinnet.plan._checks import check
from thinnet.plan._finding import Finding
from thinnet.plan._json import plan_from_json, plan_to_json
from thinnet.plan._keys import LAYER_WEIGHTS, Key, check_key, key_name
from thinnet.rule import Rule


class Plan:
    r"""An ordered mapping from patterns over parameters to the rules that govern them.

    `Plan(rule)` puts the rule on every weight matrix and kernel: parameters with "weight" in their name and two or more
    dimensions. Biases, the weights of normalizations and embeddings (tables of learned inputs, not weights of a layer)
    are left alone; name them in a mapping to govern them.

    `Plan({key: rule, ...})` is an ordered mapping. A key is

    - a glob over the names of `model.named_parameters()`, case-sensitive: `"*.weight"`, `"encoder.*.weight"`;
    - a module class: the parameters that its instances own themselves, biases left out;
    - a predicate `(name, parameter) -> bool`.

    Where several keys claim one parameter, their rules **add up**; a later key's rule **replaces** an earlier one of
    the same kind (the same class over the same groups). So `{"*.weight": L2(1e-4), "fc*.weight": L1(1e-5)}` gives
    `fc1.weight` both, and `{"*.weight": L2(1e-4), "head.weight": L2(1e-2)}` gives the head its own L2. `findings`
    names every parameter claimed twice.

    A `CoupledGroupLasso` names the parameters that it governs itself, and governs no other, under whatever key.
    `Plan(groups)` and `Plan(groups + L2(1e-4))` need no key for it; in a mapping its key must claim all that it names,
    as in `{"*.weight": L2(1e-4), "*": groups}`.

    Args:
        rules: one rule, or a mapping from keys to rules.
        examples: m, the number of training examples: divides every strength of penalties and decays by m, so that
            `L2(λ)` adds the textbook's λ/(2m)·Σw². Constraints have no strength to divide.

    Raises:
        TypeError: a key or a rule is of another kind.
        ValueError: `examples` is not positive, or the mapping is empty.

    Example:
        >>> import thinnet as tn
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> plan = tn.Plan({"*.weight": tn.L2(0.5), "2.weight": tn.L1(0.1)})
        >>> for binding in plan.bind(model):
        ...     print(binding.name, binding.rules)
        0.weight (L2(strength=0.5),)
        2.weight (L2(strength=0.5), L1(strength=0.1))
    """

    def __init__(self, rules: Rule | Mapping[Key, Rule], *, examples: int | None = None) -> None:
        entries = {LAYER_WEIGHTS: rules} if isinstance(rules, Rule) else rules
        if not isinstance(entries, Mapping):
            raise TypeError(f"Plan: `rules` must be a rule or a mapping from keys to rules, got {rules!r}.")
        if not entries:
            raise ValueError("Plan: `rules` is empty; give at least one key and its rule.")
        for key, rule in entries.items():
            check_key(key)
            if not isinstance(rule, Rule):
                raise TypeError(f"Plan: {key_name(key)} must map to a rule (tn.L2(1e-4), ...), got {rule!r}.")
        if examples is not None and (isinstance(examples, bool) or not isinstance(examples, int)):
            raise TypeError(f"Plan: `examples` must be an integer, got {examples!r}.")
        if examples is not None and examples <= 0:
            raise ValueError(f"Plan: `examples` must be > 0, got {examples}.")
        self.entries: tuple[tuple[Key, Rule], ...] = tuple(entries.items())
        self.examples = examples

    def bind(self, model: nn.Module) -> tuple[Binding, ...]:
        """Bind the rules to `model`: one binding per distinct parameter that a key claims, in the order of the model.

        Tied weights are bound once. Frozen parameters are bound too: whether they are frozen is looked at anew at each
        step.

        Raises:
            ValueError: a rule looks at outputs or inputs that the parameter does not keep apart (grouped convolutions,
                weights tied across layers that store them differently), or groups across parameters name some that the
                model does not have, or that have another shape there.
        """
        return tuple(bind(self.entries, 1 / self.examples if self.examples else None, model))

    def findings(self, model: nn.Module, optimizer: Optimizer | None = None) -> tuple[Finding, ...]:
        """Find what is wrong with this plan on `model`, and beside it in `optimizer`; empty when nothing is.

        | code | what was found |
        |---|---|
        | `no-match` | a key claims no parameter |
        | `claimed-twice` | several keys claim one parameter |
        | `decay-on-norm` | L2 or decay on the weight of a normalization |
        | `decay-on-bias` | L2 or decay on a bias |
        | `scale-cancelled` | L2 or decay on a weight whose scale the next normalization cancels |
        | `double-decay` | weight decay of the optimizer beside L2 or decay of the plan |
        | `dropout-before-norm` | dropout feeds a batch normalization |
        | `frozen` | the parameter does not require gradients |
        | `not-in-optimizer` | the optimizer does not step the parameter |
        | `zero-strength` | a rule of zero strength |
        """
        return tuple(check(self.entries, self.bind(model), model, optimizer))

    def to_json(self) -> str:
        """Write the plan as JSON: keys by name, rules by name with every field.

        Raises:
            ValueError: a key is a predicate, or a rule is not one of thinnet's.
        """
        return plan_to_json(self.entries, self.examples)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote. Imports nothing: a class outside `torch.nn` must have been imported before.

        Raises:
            ValueError: not such JSON, or an unknown rule, field or class, by name.

        Example:
            >>> import thinnet as tn
            >>> plan = tn.Plan(tn.L2(1e-4))
            >>> tn.Plan.from_json(plan.to_json()) == plan
            True
        """
        entries, examples = plan_from_json(text)
        return cls(dict(entries), examples=examples)

    def __mul__(self, factor: float) -> Plan:
        """The same plan, every strength times `factor`."""
        return type(self)({key: rule * factor for key, rule in self.entries}, examples=self.examples)

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and (self.entries, self.examples) == (other.entries, other.examples)

    def __hash__(self) -> int:
        return hash((self.entries, self.examples))

    def __repr__(self) -> str:
        rules = ", ".join(f"{key_name(key)}: {rule!r}" for key, rule in self.entries)
        return f"Plan({{{rules}}}{f', examples={self.examples}' if self.examples else ''})"
