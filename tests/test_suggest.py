import pytest

from thinnet._suggest import listed, near_misses, suggestion


@pytest.mark.parametrize(
    ("name", "names", "sentence"),
    [
        ("churn", ["Churn", "tenure"], "Did you mean 'Churn'?"),
        ("total charges", ["TotalCharges", "MonthlyCharges"], "Did you mean 'TotalCharges' or 'MonthlyCharges'?"),
        ("Chrun", ["Churn", "tenure"], "Did you mean 'Churn'?"),
        ("x", ["age"], "There is 'age'."),
        ("qqq", ["age", "city", "job"], "There are 'age', 'city' and 'job'."),
        ("qqq", [f"column{i}" for i in range(9)], ""),
        ("qqq", [], ""),
        ("目標", ["目標 ", "age"], "Did you mean '目標 '?"),
        ("??", ["!!", "a"], "There are '!!' and 'a'."),
    ],
)
def test_near_misses_are_named(name: str, names: list[str], sentence: str) -> None:
    assert suggestion(name, names) == sentence


@pytest.mark.parametrize(
    ("name", "found"), [("l2", ["L2"]), ("weight decay", ["WeightDecay"]), ("L22", ["L2"]), ("fast", []), ("", [])]
)
def test_case_and_signs_do_not_count(name: str, found: list[str]) -> None:
    assert near_misses(name, ["L2", "MaxNorm", "WeightDecay"]) == found


def test_the_nearest_come_first_and_no_more_than_asked() -> None:
    assert near_misses("column", ["col", "colum", "columns"], most=2) == ["columns", "colum"]


@pytest.mark.parametrize(
    ("names", "said"), [(["a"], "'a'"), (["a", "b"], "'a' or 'b'"), ([1, 2, 3], "'1', '2' or '3'")]
)
def test_names_in_a_sentence(names: list[object], said: str) -> None:
    assert listed(names, "or") == said
