"""Which block is blamed for a worker's death."""

from blockseg.runtime.crash_isolation import CrashIsolation


def test_the_first_death_blames_nobody():
    isolation = CrashIsolation()
    assert isolation.died("w", [1, 2, 3]) is None
    assert isolation.died("w", [4]) is None
    assert isolation.covers([3])
    assert isolation.covers([4])
    assert not isolation.covers([5])


def test_a_suspect_that_was_alone_is_blamed():
    isolation = CrashIsolation()
    isolation.died("w", [1, 2])
    verdict = isolation.died("tcp://host:1", [2])
    assert verdict is not None
    assert verdict.block_id == 2
    assert verdict.retry
    assert "tcp://host:1 died" in verdict.error


def test_a_suspect_in_company_is_not_blamed():
    isolation = CrashIsolation()
    isolation.died("w", [1, 2])
    assert isolation.died("w", [1, 2]) is None


def test_a_block_that_came_through_is_no_suspect_any_more():
    isolation = CrashIsolation()
    isolation.died("w", [1, 2])
    isolation.cleared([2])
    assert not isolation.covers([2])
    assert isolation.died("w", [2]) is None


def test_a_blamed_block_stays_under_suspicion_for_its_next_try():
    isolation = CrashIsolation()
    isolation.died("w", [1])
    assert isolation.died("w", [1]) is not None
    assert isolation.covers([1])
    assert isolation.died("w", [1]) is not None
