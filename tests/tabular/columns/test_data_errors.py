import pytest

from thinnet.errors import CellTypeError, DataError
from thinnet.tabular.columns._data_errors import as_data_error


@pytest.mark.parametrize(("raised", "kind"), [(ValueError, DataError), (TypeError, CellTypeError)])
def test_a_validation_speaks_by_thinnets_types(raised: type[Exception], kind: type[DataError]) -> None:
    with pytest.raises(kind, match="too few") as caught, as_data_error():
        raise raised("too few")
    assert type(caught.value) is kind
    assert isinstance(caught.value, raised)
    assert isinstance(caught.value.__cause__, raised)


def test_a_named_error_passes_unchanged() -> None:
    error = CellTypeError("a list")
    with pytest.raises(CellTypeError, match="a list") as caught, as_data_error():
        raise error
    assert caught.value is error


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError, match="x"), as_data_error():
        raise KeyError("x")
