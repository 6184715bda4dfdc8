"""How the size of a task follows the time that blocks take."""

import pytest

from blockseg.runtime.pace import Pace

MANY = 10**9


def test_the_first_tasks_have_one_block():
    assert Pace().batch(MANY, threads=4) == 1


def test_cheap_blocks_end_up_at_the_target_time():
    pace = Pace(target=0.5, largest=500)
    for _ in range(30):
        size = pace.batch(MANY, threads=4)
        pace.saw(size, size * 0.005)
    assert 90 <= pace.batch(MANY, threads=4) <= 100


def test_a_task_never_has_more_than_the_largest_number_of_blocks():
    pace = Pace(largest=500)
    for _ in range(30):
        pace.saw(pace.batch(MANY, threads=4), 0.0)
    assert pace.batch(MANY, threads=4) == 500


def test_slow_blocks_shrink_tasks_at_once():
    pace = Pace(target=0.5)
    for _ in range(30):
        pace.saw(100, 0.1)
    pace.saw(100, 100.0)
    assert pace.batch(MANY, threads=4) == 1


def test_one_quick_task_does_not_make_a_huge_one():
    pace = Pace()
    pace.saw(1, 1e-9)
    assert pace.batch(MANY, threads=4) <= 4


@pytest.mark.parametrize("waiting", [1, 7, 8, 63, 64, 1000])
def test_the_last_blocks_are_shared_by_all_threads(waiting):
    pace = Pace()
    for _ in range(50):
        pace.saw(500, 0.001)
    size = pace.batch(waiting, threads=4)
    assert 1 <= size <= max(1, waiting // 8)


def test_large_clusters_get_longer_tasks():
    pace = Pace(target=0.5, largest=10_000)
    for _ in range(30):
        pace.saw(100, 0.5)
    small, large = pace.batch(MANY, threads=64), pace.batch(MANY, threads=640)
    assert large == pytest.approx(10 * small, rel=0.2)


def test_nothing_waiting_needs_no_task():
    assert Pace().batch(0, threads=4) == 0


def test_a_task_in_which_nothing_ran_teaches_nothing():
    pace = Pace()
    pace.saw(0, 10.0)
    assert pace == Pace()


def test_of_long_tasks_one_waits_and_of_quick_ones_two():
    pace = Pace(target=1.0)
    assert pace.window(2) == 3
    pace.saw(1, 0.1)
    assert pace.window(2) == 4
    pace.saw(1, 3.0)
    assert pace.window(2) == 3
