import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thinnet as tn
from thinnet.plan import rule_types

STRENGTHS = st.floats(min_value=0, max_value=1e6)
RULES = st.one_of(
    STRENGTHS.map(tn.L1),
    STRENGTHS.map(tn.L2),
    STRENGTHS.map(tn.WeightDecay),
    STRENGTHS.map(tn.MaxNorm),
    st.just(tn.UnitNorm()),
    st.just(tn.NonNegative()),
    st.builds(tn.ElasticNet, STRENGTHS, STRENGTHS),
    st.builds(tn.DropConnect, st.floats(0, 1), st.none() | st.integers(0, 2**64)),
    st.builds(tn.GroupLasso, STRENGTHS, by=st.sampled_from(["outputs", "inputs"])),
    st.lists(STRENGTHS, min_size=1, max_size=3).map(lambda s: tn.L1(torch.tensor(s, dtype=torch.float64))),
)
SUMS = st.lists(RULES, min_size=1, max_size=3).map(lambda rules: sum(rules[1:], rules[0]))
KEYS = st.one_of(st.text(max_size=5), st.sampled_from([nn.Linear, nn.LSTM, nn.modules.batchnorm.BatchNorm1d]))


@given(st.dictionaries(KEYS, SUMS, min_size=1, max_size=4), st.none() | st.integers(1, 10**9))
def test_a_plan_comes_back_equal(rules: dict[object, tn.Rule], examples: int | None) -> None:
    plan = tn.Plan(rules, examples=examples)
    assert tn.Plan.from_json(plan.to_json()) == plan


def test_the_written_form() -> None:
    assert json.loads(tn.Plan(tn.L2(0.5) + tn.MaxNorm(3.0), examples=7).to_json()) == {
        "thinnet_plan": 1,
        "examples": 7,
        "entries": [
            {
                "on": {"every": "LAYER_WEIGHT"},
                "rules": [{"rule": "L2", "strength": 0.5}, {"rule": "MaxNorm", "limit": 3.0}],
            }
        ],
    }


def changed(**changes: object) -> str:
    document = {"thinnet_plan": 1, "examples": None, "entries": [], **changes}
    return json.dumps(document)


def entry(on: object, *rules: object) -> str:
    return changed(entries=[{"on": on, "rules": list(rules)}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a plan of version 1"),
        (changed(thinnet_plan=2), "not a plan of version 1"),
        (changed(extra=1), "plan has no field 'extra'"),
        ('{"thinnet_plan": 1}', "a part is missing"),
        (changed(entries=3), "a part is missing or of another kind"),
        (entry({"glob": "*"}, {"rule": "L3", "strength": 1.0}), "rule 'L3' is unknown; did you mean 'L2'"),
        (entry({"glob": "*"}, {"rule": "L2", "strenght": 1.0}), "L2 has no field 'strenght'; did you mean 'strength'"),
        (entry({"glob": "*"}, {"rule": "L2"}), "a part is missing.*strength"),
        (entry({"glob": "*"}, {"rule": "L2", "strength": -1.0}), "`strength` must be >= 0"),
        (entry({"glob": "*"}, {"rule": "Rules", "rules": []}), "rule 'Rules' is unknown"),
        (entry({"glob": "*"}), "an entry has no rules"),
        (changed(examples="7"), "examples must be an integer or null, got '7'"),
        (changed(entries=[{"on": {"glob": "*"}, "rules": [{"rule": "NonNegative"}]}] * 2), "a key stands there twice"),
        (entry({}, {"rule": "NonNegative"}), "a key must be one of every, glob, class"),
        (entry({"regex": "*"}, {"rule": "NonNegative"}), "key has no field 'regex'"),
        (entry({"every": "THING"}, {"rule": "NonNegative"}), "every 'THING' is unknown"),
        (
            entry({"class": "os.system"}, {"rule": "NonNegative"}),
            "class 'os.system' is not a module class imported here",
        ),
        (entry({"class": "antigravity.X"}, {"rule": "NonNegative"}), "class 'antigravity.X' is not a module class"),
    ],
)
def test_what_is_no_plan_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tn.Plan.from_json(text)


def test_reading_imports_nothing() -> None:
    assert "antigravity" not in sys.modules


def test_predicates_are_refused_by_name() -> None:
    def wide(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim > 1

    with pytest.raises(ValueError, match="wide is a predicate"):
        tn.Plan({wide: tn.L2(1.0)}).to_json()


def test_foreign_rules_are_refused_by_name() -> None:
    class Ours(tn.NonNegative):
        pass

    with pytest.raises(ValueError, match="Ours is not a rule of thinnet"):
        tn.Plan(Ours()).to_json()


def test_every_rule_that_thinnet_exports_is_registered() -> None:
    import inspect

    public = {n for n in tn.__all__ if inspect.isclass(getattr(tn, n)) and issubclass(getattr(tn, n), tn.Rule)}
    concrete = {n for n in public if not inspect.isabstract(getattr(tn, n)) and n != "Rule"}
    assert concrete <= set(rule_types())


@pytest.mark.slow
def test_the_registry_does_not_depend_on_what_was_imported() -> None:
    alone = subprocess.run(
        [sys.executable, "-c", "from thinnet.plan import rule_types; print(*sorted(rule_types()))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert alone.stdout.split() == sorted(rule_types())
