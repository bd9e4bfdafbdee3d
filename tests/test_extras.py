import pytest

from thinnet._extras import needed_for


def test_a_missing_module_says_what_installs_it() -> None:
    with (
        pytest.raises(ModuleNotFoundError, match=r'a figure needs nowhere: pip install "thinnet\[tabular\]"') as raised,
        needed_for("a figure"),
    ):
        raise ModuleNotFoundError("No module named 'nowhere'", name="nowhere")
    assert raised.value.name == "nowhere"


def test_other_errors_pass() -> None:
    with pytest.raises(ImportError, match="circular"), needed_for("a figure"):
        raise ImportError("circular")
