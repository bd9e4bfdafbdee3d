import inspect

import pytest

from thinnet import errors
from thinnet.errors import CellTypeError, ThinnetError

NAMED = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
WARNINGS = [kind for kind in NAMED if issubclass(kind, Warning)]


@pytest.mark.parametrize("kind", [kind for kind in NAMED if kind not in (*WARNINGS, ThinnetError)])
def test_errors_have_one_base_and_are_value_errors(kind: type[Exception]) -> None:
    assert issubclass(kind, ThinnetError)
    assert issubclass(kind, ValueError)
    assert kind.__name__.endswith("Error")


def test_a_cells_type_is_a_type_error_as_scikit_learn_wants() -> None:
    assert issubclass(CellTypeError, TypeError)


def test_warnings_can_be_filtered_as_the_users() -> None:
    assert {kind.__name__ for kind in WARNINGS} == {"NoEffectWarning", "PlanWarning"}
    assert all(issubclass(kind, UserWarning) for kind in WARNINGS)
