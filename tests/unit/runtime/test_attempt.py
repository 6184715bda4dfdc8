"""Whatever a block does becomes a report."""

import errno
import time

import pytest

from blockseg.core.blocks import BlockReport
from blockseg.core.errors import (
    BackendError,
    CorruptDataError,
    DeviceLostError,
    NoSpaceError,
    WeightsError,
)
from blockseg.core.text import one_line
from blockseg.runtime.attempt import Stopwatch, attempt
from blockseg.runtime.executor import SerialExecutor


def raising(error):
    def process(_block_id, meter):
        with meter("read"):
            raise error

    return process


def test_a_report_comes_through_with_the_time_by_activity():
    def process(block_id, meter):
        with meter("read"):
            time.sleep(0.002)
        with meter("infer"), meter("read"):
            time.sleep(0.002)
        return BlockReport(block_id, written=5)

    report = attempt(process, 3)
    assert (report.block_id, report.written, report.error) == (3, 5, "")
    seconds = dict(report.seconds)
    assert list(seconds) == ["read", "infer"]
    assert seconds["read"] >= 0.004


def test_seconds_that_an_actor_measured_itself_are_kept():
    given = (("infer", 1.0),)
    report = attempt(lambda b, _: BlockReport(b, seconds=given), 0)
    assert report.seconds == given


def test_another_meter_sees_the_same_activities():
    seen = []

    def meter(activity):
        seen.append(activity)
        return Stopwatch()("inner")

    def process(block_id, meter):
        with meter("read"):
            pass
        return BlockReport(block_id)

    attempt(process, 0, meter)
    assert seen == ["read"]


def test_an_error_is_told_in_one_line_and_with_its_traceback():
    report = attempt(raising(ValueError("two\nlines")), 4)
    assert report.error == "ValueError: two lines"
    assert "in process" in report.traceback
    assert (report.retry, report.fatal) == (True, False)
    assert [activity for activity, _ in report.seconds] == ["read"]


def test_our_own_errors_speak_for_themselves():
    assert attempt(raising(CorruptDataError("chunk 1 is bad")), 0).error == (
        "chunk 1 is bad"
    )


def test_corrupt_data_and_weights_are_not_worth_another_try():
    assert not attempt(raising(CorruptDataError("bad")), 0).retry
    assert not attempt(raising(WeightsError("no number")), 0).retry


@pytest.mark.parametrize(
    "error",
    [
        NoSpaceError("full"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_fatal(error):
    assert attempt(raising(error), 0).fatal


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), MemoryError()])
def test_other_troubles_are_not_fatal(error):
    report = attempt(raising(error), 0)
    assert report.retry
    assert not report.fatal


def test_an_interrupt_is_not_the_block_s_fault():
    with pytest.raises(KeyboardInterrupt):
        attempt(raising(KeyboardInterrupt()), 0)


def test_a_report_of_another_block_is_an_error_of_this_one():
    report = attempt(lambda b, _: BlockReport(b + 1), 7)
    assert report.block_id == 7
    assert "reported block 8 when it was given block 7" in report.error


def test_an_actor_that_returns_nothing_is_an_error():
    report = attempt(lambda *_: None, 7)  # type: ignore[arg-type]
    assert report.error.startswith("AttributeError")


def test_a_long_traceback_keeps_its_end():
    message = "word " * 10_000 + "the very end"
    report = attempt(raising(ValueError(message)), 0)
    assert len(report.traceback) <= 16_000
    assert report.traceback.rstrip().endswith("the very end")


def test_an_error_without_words_is_told_by_its_type():
    assert one_line(MemoryError()) == "MemoryError"
    assert one_line(CorruptDataError()) == "CorruptDataError"


@pytest.mark.parametrize(
    ("error", "broken"), [(DeviceLostError("gone"), True), (BackendError("no"), False)]
)
def test_a_device_that_is_lost_ends_its_process_which_alone_ends_the_run(error, broken):
    report = attempt(raising(error), 3)
    assert (report.broken, report.fatal, report.retry) == (broken, False, True)

    class Actor:
        def __call__(self, block_id, meter):
            return raising(error)(block_id, meter)

        def close(self):
            pass

    executor = SerialExecutor()
    executor.begin("segment", Actor, str)
    executor.submit([3])
    (serial,) = executor.collect(0).reports
    assert (serial.broken, serial.fatal) == (broken, broken)
    executor.end()
