"""The loop, with blocks run in this process."""

import errno
import os
import signal
from collections import Counter

import pytest

from blockseg.core.blocks import BlockQueue, BlockReport
from blockseg.core.errors import (
    BackendError,
    ClusterError,
    CorruptDataError,
    NoSpaceError,
)
from blockseg.runtime.driver import drive
from blockseg.runtime.events import (
    BlockDone,
    BlockFailed,
    BlockRetried,
    Event,
    Message,
    PhaseDone,
    PhaseStarted,
)
from blockseg.runtime.executor import Collected, Room, SerialExecutor
from blockseg.runtime.ledger.ledger import Ledger


class Actor:
    """Does ``tricks[block](attempt)`` where there is one."""

    def __init__(self, tricks=None):
        self.tricks = tricks or {}
        self.calls: Counter[int] = Counter()
        self.closed = False

    def __call__(self, block_id, meter):
        self.calls[block_id] += 1
        with meter("read"):
            if block_id in self.tricks:
                self.tricks[block_id](self.calls[block_id])
        return BlockReport(block_id, written=1)

    def close(self):
        self.closed = True


def raising(error, times=99):
    def trick(attempt):
        if attempt <= times:
            raise error

    return trick


@pytest.fixture
def ledger(tmp_path):
    with Ledger.create(tmp_path / "ledger.sqlite", "print") as ledger:
        yield ledger


@pytest.fixture
def run(ledger):
    def run(actor, blocks=5, executor=None, queue=None, **more):
        events: list[Event] = []
        executor = executor or SerialExecutor()
        queue = queue or BlockQueue(range(blocks))
        try:
            outcome = drive(
                executor, queue, ledger, "segment", lambda: actor, events.append, **more
            )
        except BaseException as error:
            error.events = events  # type: ignore[attr-defined]
            raise
        assert events[-1] == outcome
        return outcome, events

    return run


def test_every_block_is_done_once_and_told_once(run, ledger):
    actor = Actor()
    outcome, events = run(actor)
    assert (outcome.done, outcome.failed, outcome.left) == (5, 0, 0)
    assert outcome.stopped == ""
    assert actor.calls == Counter(range(5))
    told = [e.report.block_id for e in events if isinstance(e, BlockDone)]
    assert told == [0, 1, 2, 3, 4]
    assert ledger.summary("segment").done == 5
    assert actor.closed


def test_the_ledger_has_a_block_before_anyone_is_told(ledger):
    def check(event):
        if isinstance(event, BlockDone):
            assert ledger.states("segment", 9)[event.report.block_id]

    drive(SerialExecutor(), BlockQueue(range(3)), ledger, "segment", Actor, check)


def test_time_by_activity_reaches_the_ledger(run, ledger):
    run(Actor())
    assert set(ledger.summary("segment").seconds) == {"read"}


def test_a_block_that_fails_once_is_tried_again_and_done(run, ledger):
    outcome, events = run(Actor({2: raising(ValueError("odd"), times=1)}))
    assert (outcome.done, outcome.failed) == (5, 0)
    (retried,) = (e for e in events if isinstance(e, BlockRetried))
    assert retried.attempts == 1
    assert retried.report.error == "ValueError: odd"
    assert ledger.column("segment", "attempts", 5).tolist() == [1, 1, 2, 1, 1]


def test_a_block_that_always_fails_is_quarantined_and_the_run_goes_on(run, ledger):
    actor = Actor({2: raising(ValueError("odd"))})
    outcome, events = run(actor)
    assert (outcome.done, outcome.failed, outcome.left) == (4, 1, 0)
    assert actor.calls[2] == 3
    (failed,) = ledger.failures("segment")
    assert (failed.block_id, failed.attempts) == (2, 3)
    assert "raise error" in failed.traceback
    assert [e.attempts for e in events if isinstance(e, BlockFailed)] == [3]


def test_corrupt_data_are_not_read_again(run, ledger):
    actor = Actor({2: raising(CorruptDataError("chunk 1/2/3 is corrupt"))})
    run(actor)
    assert actor.calls[2] == 1
    assert ledger.failures("segment")[0].error == "chunk 1/2/3 is corrupt"


def test_running_out_of_memory_is_a_failed_block_and_not_a_crash(run):
    outcome, _ = run(Actor({1: raising(MemoryError(), times=1)}))
    assert (outcome.done, outcome.failed) == (5, 0)


@pytest.mark.parametrize(
    "error", [NoSpaceError("disk full"), OSError(errno.ENOSPC, "No space left")]
)
def test_a_full_disk_stops_the_run_and_leaves_the_rest_pending(run, ledger, error):
    outcome, events = run(Actor({2: raising(error)}))
    assert (outcome.done, outcome.failed, outcome.left) == (2, 0, 3)
    assert outcome.stopped
    assert not any(isinstance(e, BlockFailed | BlockRetried) for e in events)
    assert ledger.pending("segment", range(5)).tolist() == [2, 3, 4]


def test_a_full_disk_under_the_ledger_stops_the_run_too(run, monkeypatch):
    commit = Ledger.commit

    def full(self, phase, reports, attempts=None):
        if any(r.block_id == 2 for r in reports):
            message = "no space left"
            raise NoSpaceError(message)
        commit(self, phase, reports, attempts)

    monkeypatch.setattr(Ledger, "commit", full)
    outcome, events = run(Actor())
    assert (outcome.done, outcome.left, outcome.stopped) == (2, 3, "no space left")
    assert [e.report.block_id for e in events if isinstance(e, BlockDone)] == [0, 1]


def test_a_stopped_run_goes_on_where_it_was(run, ledger):
    run(Actor({2: raising(NoSpaceError("disk full"))}))
    actor = Actor()
    outcome, _ = run(actor, queue=BlockQueue(ledger.pending("segment", range(5))))
    assert outcome.done == 3
    assert sorted(actor.calls) == [2, 3, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_commits_what_is_in_flight_and_is_raised_on(run, ledger, number):
    actor = Actor({2: lambda _: os.kill(os.getpid(), number)})
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(actor)
    assert ledger.pending("segment", range(5)).tolist() == [3, 4]
    assert actor.closed
    assert signal.getsignal(number) is before
    events = caught.value.events  # type: ignore[attr-defined]
    assert not any(isinstance(e, PhaseDone) for e in events)


def test_a_second_interrupt_does_not_wait(run, ledger):
    def twice(_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(Actor({2: twice}))
    assert ledger.pending("segment", range(5)).tolist() == [2, 3, 4]


class Forgetful(SerialExecutor):
    """Never answers."""

    asked = False

    def collect(self, timeout):  # noqa: ARG002
        if not self.asked:
            os.kill(os.getpid(), signal.SIGINT)
        self.asked = True
        return Collected()


def test_patience_with_blocks_in_flight_has_an_end(run):
    with pytest.raises(KeyboardInterrupt):
        run(Actor(), executor=Forgetful(), patience=0.01)


class Slow(SerialExecutor):
    """Has three blocks in flight, of which one has begun; told to wind down, it returns
    those that have not."""

    def __init__(self, signals):
        super().__init__()
        self.signals = signals
        self.wound_down = False
        self.ended: list[bool] = []

    def room(self, waiting):
        return Room(1) if waiting and len(self._waiting) < 3 else None

    def collect(self, timeout):
        if self.signals:
            os.kill(os.getpid(), self.signals.pop())
            return Collected()
        if self.wound_down:
            first, *others = self._waiting
            self._waiting.clear()
            self._waiting.append(first)
            done = super().collect(timeout)
            return Collected(done.reports, returned=others)
        return super().collect(timeout)

    def wind_down(self):
        self.wound_down = True

    def end(self, *, at_once=False):
        self.ended.append(at_once)
        super().end(at_once=at_once)


def test_after_one_interrupt_what_has_begun_is_finished_and_nothing_else(run, ledger):
    executor = Slow([signal.SIGTERM])
    with pytest.raises(KeyboardInterrupt) as caught:
        run(Actor(), executor=executor)
    assert ledger.pending("segment", range(5)).tolist() == [1, 2, 3, 4]
    assert executor.ended == [False]
    told = [e.text for e in caught.value.events if isinstance(e, Message)]  # type: ignore[attr-defined]
    assert len(told) == 1
    assert "a second interrupt stops at once" in told[0]


def test_after_two_interrupts_the_executor_ends_at_once(run, ledger):
    executor = Slow([signal.SIGTERM, signal.SIGINT])
    executor.wind_down = lambda: None  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(Actor(), executor=executor)
    assert ledger.pending("segment", range(5)).tolist() == [0, 1, 2, 3, 4]
    assert executor.ended == [True]


class Lossy(SerialExecutor):
    """Returns each block once before it runs it, and reports it twice."""

    def __init__(self):
        super().__init__()
        self.returned = set()

    def collect(self, timeout):
        block = self._waiting[0]
        if block not in self.returned:
            self.returned.add(block)
            self._waiting.popleft()
            return Collected(returned=[block])
        reports = super().collect(timeout).reports
        return Collected([*reports, *reports])


def test_a_returned_block_is_run_and_a_late_second_report_is_ignored(run, ledger):
    actor = Actor()
    outcome, _ = run(actor, executor=Lossy())
    assert outcome.done == 5
    assert actor.calls == Counter(range(5))
    assert ledger.summary("segment").done == 5


class Lost(SerialExecutor):
    """Loses its cluster at the third block."""

    def collect(self, timeout):
        if self._waiting[0] == 2:
            message = "the cluster is lost"
            raise ClusterError(message)
        return super().collect(timeout)


def test_a_lost_cluster_ends_the_run_and_keeps_what_was_done(run, ledger):
    actor = Actor()
    with pytest.raises(ClusterError, match="is lost"):
        run(actor, executor=Lost())
    assert ledger.pending("segment", range(5)).tolist() == [2, 3, 4]
    assert actor.closed


def broken():
    message = "no such engine"
    raise BackendError(message)


def test_an_actor_that_cannot_be_built_is_an_error_of_the_run(ledger):
    executor, queue = SerialExecutor(), BlockQueue([0])
    with pytest.raises(BackendError, match="no such engine"):
        drive(executor, queue, ledger, "segment", broken, lambda _: None)


def test_nothing_to_do_needs_no_actor(ledger):
    events: list[Event] = []
    outcome = drive(
        SerialExecutor(), BlockQueue([]), ledger, "segment", broken, events.append
    )
    assert (outcome.done, outcome.left) == (0, 0)
    assert [type(event) for event in events] == [PhaseStarted, PhaseDone]
