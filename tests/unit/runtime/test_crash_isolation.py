"""Which block is blamed for a worker's death."""

from blockseg.runtime.crash_isolation import Suspicion


def test_the_first_death_blames_nobody():
    suspicion = Suspicion()
    assert suspicion.died("w", [1, 2, 3]) is None
    assert suspicion.died("w", [4]) is None
    assert suspicion.covers([3])
    assert suspicion.covers([4])
    assert not suspicion.covers([5])


def test_a_suspect_that_was_alone_is_blamed():
    suspicion = Suspicion()
    suspicion.died("w", [1, 2])
    verdict = suspicion.died("tcp://host:1", [2])
    assert verdict is not None
    assert verdict.block_id == 2
    assert verdict.retry
    assert "tcp://host:1 died" in verdict.error


def test_a_suspect_in_company_is_not_blamed():
    suspicion = Suspicion()
    suspicion.died("w", [1, 2])
    assert suspicion.died("w", [1, 2]) is None


def test_a_block_that_came_through_is_no_suspect_any_more():
    suspicion = Suspicion()
    suspicion.died("w", [1, 2])
    suspicion.cleared([2])
    assert not suspicion.covers([2])
    assert suspicion.died("w", [2]) is None


def test_a_blamed_block_stays_under_suspicion_for_its_next_try():
    suspicion = Suspicion()
    suspicion.died("w", [1])
    assert suspicion.died("w", [1]) is not None
    assert suspicion.covers([1])
    assert suspicion.died("w", [1]) is not None
