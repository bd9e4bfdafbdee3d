import math

from rich.console import Console

from thinnet.cli._feature_table import SHOWN, feature_table


def printed(leaves: dict[str, float], chosen: set[str]) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(feature_table(leaves, chosen))
    return capture.get()


def test_those_that_stay_longest_come_first() -> None:
    text = printed({"b": 0.0123, "a": math.inf, "[red]c": 0.5}, {"a"})
    assert text.index("never") < text.index("0.5") < text.index("0.012")
    assert "[red]c" in text  # a name is no markup
    assert text.count("yes") == 1


def test_the_rest_is_counted_and_chosen_ones_are_always_there() -> None:
    text = printed({f"c{i}": 1.0 for i in range(SHOWN + 5)} | {"weak": 0.1}, {"weak"})
    assert "weak" in text
    assert "and 5 more on the page" in text
