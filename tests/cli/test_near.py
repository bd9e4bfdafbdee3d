import pytest

from thinnet.cli._near import near


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
    assert near(name, names) == sentence
