import json
from importlib import import_module
from pathlib import Path

import pytest

from blockseg.blockwise.events import JobStarted
from blockseg.core.blocks import BlockReport
from blockseg.runtime.events import (
    BlockAdvanced,
    BlockDone,
    BlockFailed,
    BlockRetried,
    DevicesUsed,
    PhaseDone,
    PhaseStarted,
)

Tally = import_module("blockseg_cli.progress").Tally
watcher = import_module("blockseg_cli.progress").watcher


def test_rate_and_remaining_time_follow_the_clock():
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.take(PhaseStarted("segment", 4))
    assert tally.remaining is None
    for second in (10.0, 20.0):
        now[0] = second
        tally.take(BlockDone("segment", BlockReport(0, written=1000)))
    assert tally.rate == 100
    assert tally.remaining == 20


def test_shares_of_blocks_at_work_move_the_bar_and_foretell_the_first_one():
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.take(PhaseStarted("segment", 4))
    now[0] = 10.0
    tally.take(BlockAdvanced(0, 0.25))
    tally.take(BlockAdvanced(1, 0.25))
    assert tally.completed == 0.5
    assert tally.remaining == 70
    assert "segment 0/4 blocks (12%)" in tally.line()
    tally.take(BlockAdvanced(0, 0.75))
    tally.take(BlockDone("segment", BlockReport(0, written=1000)))
    assert tally.completed == 1.25
    tally.take(BlockRetried("segment", BlockReport(1, error="bad"), 1))
    assert tally.completed == 1
    tally.take(PhaseStarted("pyramid", 4))
    assert tally.completed == 0


def test_nothing_is_foretold_of_a_pass_that_has_hardly_begun():
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.take(PhaseStarted("segment", 4))
    assert "voxel" not in tally.line()
    now[0] = 20.0
    tally.take(BlockAdvanced(0, 0.2))  # engines start in that time, too
    assert tally.remaining is None
    tally.take(BlockAdvanced(1, 0.1))
    assert tally.remaining == pytest.approx(3.7 * 20 / 0.3)
    assert "0.00" not in tally.line()
    tally.take(PhaseStarted("segment", 40))
    now[0] = 22.0
    tally.take(BlockAdvanced(0, 0.9))
    tally.take(BlockAdvanced(1, 0.9))
    assert tally.remaining is None  # of 40 blocks
    tally.take(PhaseStarted("segment", 2))
    now[0] = 23.0
    tally.take(BlockAdvanced(0, 0.9))
    assert tally.remaining is None  # after a second


def test_failed_blocks_are_counted_and_said():
    tally = Tally(lambda: 0.0)
    tally.take(PhaseStarted("segment", 4))
    tally.take(BlockFailed("segment", BlockReport(0, error="bad"), 3))
    assert "1 failed" in tally.line()


def test_the_marks_of_an_old_minute_are_forgotten():
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.take(PhaseStarted("segment", 1000))
    for number in range(500):
        now[0] = number
        tally.take(BlockDone("segment", BlockReport(number, written=1)))
    assert len(tally._marks) < 70


def test_json_events_are_one_line_each(capsys):
    with watcher(quiet=False, as_json=True) as watch:
        watch(BlockDone("segment", BlockReport(7, written=5, payload=b"\x00")))
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert event["event"] == "BlockDone"
    assert event["report"]["block_id"] == 7


def test_the_use_of_gpus_is_shown_and_their_own_account_wins_over_a_blocks():
    tally = Tally(lambda: 0.0)
    tally.take(PhaseStarted("segment", 4))
    assert "GPU" not in tally.line()
    report = BlockReport(0, written=1, device_bytes=3_200_000_000)
    tally.take(BlockDone("segment", report))
    assert tally.line().endswith("GPU 3.2 GB")
    tally.take(DevicesUsed(2, 0.87, 31 * 10**9, 160 * 10**9))
    tally.take(BlockDone("segment", report))
    assert tally.line().endswith("2 GPUs 87%, 31.0 of 160 GB")


def test_a_pass_over_a_list_is_not_said_to_have_voxels(capsys):
    def said(shape):
        with watcher(quiet=False, as_json=False) as watch:
            watch(
                JobStarted(
                    out=Path("OUT.zarr"),
                    shape=shape,
                    block=(32, 1, 1),
                    blocks=1,
                    done=0,
                    engine="reading traces",
                    workers=0,
                    dashboard="",
                    notes=(),
                )
            )
            watch(PhaseStarted("traces", 1))
            watch(BlockDone("traces", BlockReport(0, written=5)))
            watch(PhaseDone("traces", 0, 0, 0, "", 0.0))
        return "".join(capsys.readouterr())

    assert "9×8×1 voxels" in said((9, 8, 1))
    listed = said((9, 1, 1))
    assert "reading traces, no workers" in listed
    assert "traces 1/1 parts, CPU" in listed
    assert "voxels" not in listed
