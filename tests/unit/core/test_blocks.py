"""Which block comes next, and what a report does to it."""

import pickle

import numpy as np
import pytest

from blockseg.core.blocks import BlockQueue, BlockReport, BlockState


def failed(block_id, **more):
    return BlockReport(block_id, error="ValueError: no", **more)


def test_fresh_blocks_come_in_order_and_as_plain_integers():
    queue = BlockQueue(np.array([5, 3, 9], np.int64))
    taken = [*queue.take(2), *queue.take(2)]
    assert taken == [5, 3, 9]
    assert {type(block) for block in taken} == {int}
    assert queue.take(1) == []


def test_a_failed_block_comes_again_after_all_fresh_ones_and_alone():
    queue = BlockQueue(range(6))
    assert queue.take(2) == [0, 1]
    assert queue.settle(failed(0)) is BlockState.PENDING
    assert queue.settle(failed(1)) is BlockState.PENDING
    assert queue.take(10) == [2, 3, 4, 5]
    assert queue.take(10) == [0]
    assert queue.take(10) == [1]


def test_a_block_is_quarantined_when_its_attempts_are_used_up():
    queue = BlockQueue([7], max_attempts=3)
    states = []
    for _ in range(3):
        assert queue.take(1) == [7]
        states.append(queue.settle(failed(7)))
    assert states == [BlockState.PENDING, BlockState.PENDING, BlockState.FAILED]
    assert queue.take(1) == []
    assert queue.attempts(7) == 3


def test_a_block_that_cannot_succeed_is_quarantined_at_once():
    queue = BlockQueue([7])
    queue.take(1)
    assert queue.settle(failed(7, retry=False)) is BlockState.FAILED
    assert queue.waiting == 0


def test_a_fatal_report_stops_the_queue_and_leaves_its_block_pending():
    queue = BlockQueue(range(3))
    queue.take(1)
    assert queue.settle(failed(0, fatal=True)) is BlockState.PENDING
    assert queue.stopped
    assert queue.take(3) == []
    assert queue.waiting == 0
    assert queue.settle(BlockReport(1)) is BlockState.DONE


def test_a_block_put_back_has_lost_no_attempt():
    queue = BlockQueue([4], max_attempts=1)
    queue.put_back(queue.take(1))
    assert queue.waiting == 1
    assert queue.attempts(4) == 0
    assert queue.take(1) == [4]


def test_waiting_counts_fresh_blocks_and_those_to_try_again():
    queue = BlockQueue(range(4))
    queue.take(2)
    queue.settle(failed(0))
    assert queue.waiting == 3
    queue.stop()
    assert queue.waiting == 0


def test_success_forgets_the_attempts_before_it():
    queue = BlockQueue([1])
    queue.take(1)
    queue.settle(failed(1))
    assert queue.attempts(1) == 1
    queue.settle(BlockReport(1))
    assert queue.attempts(1) == 0


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_is_taken_where_nothing_is_asked_for(count):
    queue = BlockQueue([1])
    assert queue.take(count) == []
    assert queue.waiting == 1


@pytest.mark.parametrize(
    ("report", "state"),
    [(BlockReport(0), BlockState.DONE), (failed(0), BlockState.FAILED)],
)
def test_a_report_knows_the_state_it_puts_its_block_in(report, state):
    assert report.state is state


def test_a_report_is_the_same_on_the_other_side_of_a_process():
    report = BlockReport(
        7, error="no", retry=False, reads=(1, 2), payload=b"x", worker="tls://a:1"
    )
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(report, protocol)) == report
