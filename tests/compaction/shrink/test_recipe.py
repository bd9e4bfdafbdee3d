"""Recipes: two in turn are one."""

from thinnet.compaction.shrink._recipe import VERSION, composed


def recipe(before: dict, kept: dict, attributes: dict) -> dict:
    return {"version": VERSION, "before": before, "kept": kept, "attributes": attributes}


def test_indices_of_the_second_are_places_among_those_of_the_first() -> None:
    first = recipe({"w": [6, 4]}, {"w": {"0": [1, 2, 5]}}, {"layer": {"out": 3, "heads": 2}})
    then = recipe({"w": [3, 4], "b": [7]}, {"w": {"0": [0, 2], "1": [3]}, "b": {"0": [6]}}, {"layer": {"out": 2}})
    both = composed(first, then)
    assert both["kept"] == {"w": {"0": [1, 5], "1": [3]}, "b": {"0": [6]}}
    assert both["before"] == {"w": [6, 4], "b": [7]}
    assert both["attributes"] == {"layer": {"out": 2, "heads": 2}}
    rows = list("abcdef")
    assert [rows[i] for i in both["kept"]["w"]["0"]] == [[rows[i] for i in (1, 2, 5)][i] for i in (0, 2)]
    assert first["kept"] == {"w": {"0": [1, 2, 5]}}


def test_the_first_alone_is_itself() -> None:
    then = recipe({"w": [3]}, {"w": {"0": [0]}}, {})
    assert composed(None, then) is then
