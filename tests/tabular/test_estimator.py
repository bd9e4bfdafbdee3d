import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from thinnet.tabular import ThinNetClassifier, ThinNetRegressor

SMALL = {
    "n_configurations": 3,
    "n_rounds": 2,
    "cv": 2,
    "hidden": (32,),
    "max_steps": 80,
    "time_limit": None,
    "random_state": 0,
}
"""As few and as short trainings as pass the checks that ask for accuracy."""


@pytest.mark.slow
@parametrize_with_checks(
    [
        ThinNetClassifier(**SMALL),
        ThinNetRegressor(**SMALL),
        # some of six configurations have zeros
        ThinNetClassifier(**SMALL | {"n_configurations": 6}, polish=True, refit=True),
        ThinNetRegressor(**SMALL | {"n_configurations": 6}, polish=True, refit=True),
    ]
)
def test_scikit_learn_conventions(estimator, check) -> None:
    check(estimator)
