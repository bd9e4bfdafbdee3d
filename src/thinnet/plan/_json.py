"""Plans as JSON: keys and rules by name, nothing imported, nothing executed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from thinnet._suggest import near_misses
from thinnet.plan._keys import LAYER_WEIGHTS, Every, Key, key_name
from thinnet.plan._registry import rule_types
from thinnet.rule import Rule, Rules

_VERSION = 1


def plan_to_json(entries: Iterable[tuple[Key, Rule]], examples: int | None) -> str:
    """Write a plan as JSON."""
    rows = [{"on": _key_to(key), "rules": [_rule_to(part) for part in rule.parts()]} for key, rule in entries]
    return json.dumps({"thinnet_plan": _VERSION, "examples": examples, "entries": rows}, indent=2, allow_nan=False)


def plan_from_json(text: str) -> tuple[list[tuple[Key, Rule]], int | None]:
    """Read the entries and the number of examples that `plan_to_json` wrote."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"Plan.from_json: not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("thinnet_plan") != _VERSION:
        raise ValueError(f"Plan.from_json: not a plan of version {_VERSION}; write it with Plan.to_json().")
    _only(document, {"thinnet_plan", "examples", "entries"}, "plan")
    try:
        entries = [(_key_from(row["on"]), _rules_from(row["rules"])) for row in document["entries"]]
        examples = document["examples"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"Plan.from_json: a part is missing or of another kind ({error!r}).") from error
    if len({key for key, _ in entries}) < len(entries):
        raise ValueError("Plan.from_json: a key stands there twice.")
    if examples is not None and (isinstance(examples, bool) or not isinstance(examples, int)):
        raise ValueError(f"Plan.from_json: examples must be an integer or null, got {examples!r}.")
    return entries, examples


def _key_to(key: Key) -> dict[str, str]:
    if isinstance(key, Every):
        return {"every": key.name}
    if isinstance(key, str):
        return {"glob": key}
    if isinstance(key, type):
        return {"class": f"{key.__module__}.{key.__qualname__}"}
    raise ValueError(
        f"Plan.to_json: {key_name(key)} is a predicate, code that JSON cannot hold; use a glob or a class."
    )


def _key_from(row: dict[str, str]) -> Key:
    _only(row, {"every", "glob", "class"}, "key")
    if len(row) != 1:
        raise ValueError(f"Plan.from_json: a key must be one of every, glob, class, got {row!r}.")
    ((kind, name),) = row.items()
    if kind == "every":
        if name != LAYER_WEIGHTS.name:
            raise ValueError(f"Plan.from_json: every {name!r} is unknown; it must be {LAYER_WEIGHTS.name!r}.")
        return LAYER_WEIGHTS
    return str(name) if kind == "glob" else _class(name)


def _class(path: str) -> type[nn.Module]:
    """The module class at `path`, among what is imported already."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:cut]))
        for part in parts[cut:]:
            found = getattr(found, part, None)
        if isinstance(found, type) and issubclass(found, nn.Module):
            return found
    raise ValueError(f"Plan.from_json: class {path!r} is not a module class imported here; import it first.")


def _rule_to(rule: Rule) -> dict[str, object]:
    name = type(rule).__name__
    if rule_types().get(name) is not type(rule):
        raise ValueError(f"Plan.to_json: {name} is not a rule of thinnet, so that no name stands for it in JSON.")
    return {"rule": name, **rule.settings()}


def _rules_from(rows: list[dict[str, Any]]) -> Rule:
    rules = [_rule_from(dict(row)) for row in rows]
    if not rules:
        raise ValueError("Plan.from_json: an entry has no rules.")
    return rules[0] if len(rules) == 1 else Rules(tuple(rules))


def _rule_from(row: dict[str, Any]) -> Rule:
    name = row.pop("rule")
    types = rule_types()
    if name not in types:
        raise ValueError(f"Plan.from_json: rule {name!r} is unknown{_meant(str(name), types)}.")
    fields = {field.name for field in dataclasses.fields(types[name])}
    _only(row, fields, name)
    strengths = types[name].strength_fields
    stacked = {
        k: torch.tensor(v, dtype=torch.float64) if k in strengths and isinstance(v, list) else v for k, v in row.items()
    }
    return types[name](**stacked)


def _only(row: dict[str, Any], known: set[str], what: str) -> None:
    """Refuse a field that is not known, by name."""
    for field in row:
        if field not in known:
            raise ValueError(f"Plan.from_json: {what} has no field {field!r}{_meant(field, known)}.")


def _meant(name: str, known: Iterable[str]) -> str:
    close = near_misses(name, known, most=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"
