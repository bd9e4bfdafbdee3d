import numpy as np
import pytest

from thinnet.tabular.population._minibatches import Minibatches


@pytest.mark.parametrize(
    ("rows", "size", "keep_rest", "steps"),
    [
        (120, 40, False, 3),
        (100, 40, False, 3),
        (99, 40, False, 2),
        (99, 40, True, 3),
        (7, 40, False, 1),
        (80, 40, True, 2),
    ],
)
def test_a_small_rest_of_an_epoch_is_left_out(rows: int, size: int, keep_rest: bool, steps: int) -> None:
    batches = Minibatches(rows, size, seed=[3], keep_rest=keep_rest)
    assert batches.steps_an_epoch == steps
    seen = [batches.rows_of_step(step) for step in range(steps)]
    assert all(len(batch) == size for batch in seen[:-1])
    assert 0 < len(seen[-1]) <= size
    together = np.concatenate(seen)
    assert len(set(together.tolist())) == len(together) == min(rows, steps * size)


def test_every_epoch_has_an_order_of_its_own_by_the_seed_and_its_number() -> None:
    batches = Minibatches(50, 10, seed=[4, 3])
    for epoch in (0, 1, 7):
        order = np.random.default_rng([4, 3, epoch]).permutation(50)
        seen = [batches.rows_of_step(5 * epoch + step) for step in range(5)]
        np.testing.assert_array_equal(np.concatenate(seen), order)
    assert not np.array_equal(batches.rows_of_step(0), Minibatches(50, 10, seed=[5, 3]).rows_of_step(0))


def test_the_rows_of_a_step_do_not_depend_on_the_steps_before() -> None:
    straight, resumed = Minibatches(50, 7, seed=[0]), Minibatches(50, 7, seed=[0])
    expected = [straight.rows_of_step(step) for step in range(40)]
    for step in (33, 5, 39, 0):
        np.testing.assert_array_equal(resumed.rows_of_step(step), expected[step])
