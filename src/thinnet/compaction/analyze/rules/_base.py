"""What a rule is: what an operation does to knowledge and to labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import Flow

Knowledge = Callable[[Call, Any], Any]
"""From a call and its outcome to which elements of the outcome depend on the inputs; a tuple where it has several."""

Labelling = Callable[[Call, Flow], Axes | list[Axes]]
"""From a call to the axes of its outcome, a list where it has several.

On the way it unites what must go together, pins what must stay, and notes what is read.
"""

KNOWLEDGE: dict[str, Knowledge] = {}
LABELLING: dict[str, Labelling] = {}


def knowledge(*names: str) -> Callable[[Knowledge], Knowledge]:
    """Register what is known behind the operations of these names."""

    def register(rule: Knowledge) -> Knowledge:
        KNOWLEDGE.update(dict.fromkeys(names, rule))
        return rule

    return register


def labelling(*names: str) -> Callable[[Labelling], Labelling]:
    """Register the labels behind the operations of these names."""

    def register(rule: Labelling) -> Labelling:
        LABELLING.update(dict.fromkeys(names, rule))
        return rule

    return register
