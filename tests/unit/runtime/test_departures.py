"""Workers that leave in good order while they run blocks."""

import pytest

from blockseg.core.errors import ClusterLostError
from blockseg.runtime.departures import Departures


def test_a_cluster_that_shrinks_harms_nobody():
    departures = Departures()
    for left in reversed(range(20)):
        assert departures.left(left, [left]) == []


def test_a_block_that_outlives_three_workers_fails_and_others_go_on():
    departures = Departures()
    for _ in range(2):
        assert departures.left(1, [7, 8]) == []
        departures.done([1, 8])
    (report,) = departures.left(1, [7, 8])
    assert report.block_id == 7
    assert not report.retry
    assert "--lifetime" in report.error


def test_workers_that_all_leave_before_they_have_done_a_block_end_the_run():
    departures = Departures()
    for block in range(5):  # of two workers, which may each have left twice by chance
        assert departures.left(1, [block]) == []
    with pytest.raises(ClusterLostError, match=r"6 workers left .*--lifetime"):
        departures.left(1, [5])


def test_a_block_that_is_done_in_between_ends_the_row():
    departures = Departures()
    for block in range(100):
        departures.left(1, [block])
        departures.done([block + 1000])
