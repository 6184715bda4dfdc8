"""Time after which a block counts as hung."""

import math

from blockseg.core.blocks import BlockReport
from blockseg.runtime.block_limit import BlockLimit


def test_before_a_block_has_ended_an_hour_is_allowed():
    assert BlockLimit().of(1) == 3600


def test_quick_blocks_have_five_minutes_and_slow_ones_twenty_times_the_slowest():
    limit = BlockLimit()
    limit.saw([BlockReport(0), BlockReport(1)], 2.0)
    assert limit.seconds == 300
    limit.saw([BlockReport(2)], 90.0)
    limit.saw([BlockReport(3)], 1.0)
    assert limit.seconds == 1800


def test_the_slowest_block_of_a_task_counts_and_not_their_mean():
    limit = BlockLimit()
    slow = BlockReport(1, seconds=(("read", 30.0), ("infer", 70.0)))
    limit.saw([BlockReport(0), slow, BlockReport(2)], 102.0)
    assert limit.seconds == 2000


def test_what_the_user_allows_holds_from_the_first_block_on():
    limit = BlockLimit(5.0)
    assert limit.of(1) == 5
    limit.saw([BlockReport(0)], 4.0)
    assert limit.seconds == 5


def test_zero_is_no_limit():
    assert BlockLimit(0.0).of(3) == math.inf


def test_a_task_of_many_blocks_has_time_for_the_others_but_for_one_that_hangs_only():
    limit = BlockLimit(60.0)
    limit.saw([BlockReport(0)], 0.01)
    assert limit.of(500) == 60 + 499 * 0.2
