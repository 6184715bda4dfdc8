"""Streams take neighbours, and nobody is idle while something is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockseg.core.blocks import BlockQueue
from blockseg.core.work_ranges import WorkRanges


def test_one_lane_takes_everything_in_order():
    work_ranges = WorkRanges(5)
    taken = [list(work_ranges.take("a", 2)) for _ in range(4)]
    assert taken == [[0, 1], [2, 3], [4], []]
    assert work_ranges.left == 0


def test_a_second_lane_takes_the_far_half_and_both_stay_in_a_row():
    work_ranges = WorkRanges(8)
    assert list(work_ranges.take("a", 1)) == [0]
    assert list(work_ranges.take("b", 1)) == [4]
    assert list(work_ranges.take("a", 1)) == [1]
    assert list(work_ranges.take("b", 1)) == [5]


def test_a_lane_that_is_done_takes_half_of_the_longest_stretch():
    work_ranges = WorkRanges(12)
    work_ranges.take("a", 1)
    work_ranges.take("b", 1)
    assert list(work_ranges.take("b", 9)) == [7, 8, 9, 10, 11]
    assert list(work_ranges.take("b", 9)) == [3, 4, 5]


def test_what_a_lane_that_is_gone_had_before_it_is_done_by_the_others():
    work_ranges = WorkRanges(9)
    work_ranges.take("gone", 2)
    others: list[int] = []
    while work_ranges.left:
        others += work_ranges.take("b", 2)
    assert sorted(others) == [2, 3, 4, 5, 6, 7, 8]


def test_the_lanes_that_are_expected_get_equal_stretches():
    work_ranges = WorkRanges(9, workers=3)
    assert [work_ranges.take(worker, 1).start for worker in "abc"] == [0, 3, 6]
    assert list(work_ranges.take("d", 1)) == [2]


def test_stretches_of_lanes_that_never_come_are_done_by_the_others():
    work_ranges = WorkRanges(9, workers=3)
    taken = [place for _ in range(5) for place in work_ranges.take("a", 2)]
    assert taken == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_left_of_what_was_all_taken(count):
    work_ranges = WorkRanges(count)
    work_ranges.take("a", 5)
    assert list(work_ranges.take("a", 5)) == []
    assert list(work_ranges.take("b", 5)) == []


@given(
    st.integers(0, 60),
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9)), min_size=1),
)
def test_every_place_is_taken_exactly_once_and_none_asks_in_vain(count, workers, steps):
    work_ranges = WorkRanges(count, workers)
    taken: list[int] = []
    for worker, size in (*steps, *((worker, 5) for worker in "abcd" * 20)):
        left = work_ranges.left
        some = work_ranges.take(worker, size)
        assert len(some) <= size
        assert bool(some) == bool(left)
        assert list(some) == list(range(some.start, some.stop))
        taken += some
    assert sorted(taken) == list(range(count))


def test_a_queue_hands_each_lane_neighbours_and_what_failed_to_anyone():
    queue = BlockQueue([9, 8, 7, 6])
    assert queue.take(1, "a") == [9]
    assert queue.take(1, "b") == [7]
    queue.put_back([9])
    assert queue.take(2, "a") == [8]
    assert queue.waiting == 2
    assert queue.take(2, "b") == [6]
    assert queue.take(2, "b") == [9]
