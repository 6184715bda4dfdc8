"""Kill what can be killed; the store must not tell."""

import os
import signal

import psutil
import pytest

pytestmark = [pytest.mark.dask, pytest.mark.slow]

SMALL = ("--block", "64", "--window", "64", "--workers", "2")


def done_blocks(process, events_of, until):
    """Return the blocks done until there are ``until`` of them, or none come."""
    found = []
    for event in events_of(process.stdout):
        if event["event"] == "BlockDone" and event["phase"] == "segment":
            found.append(event["report"]["block_id"])
        if len(found) == until:
            break
    return found


def a_worker_of(process):
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [c for c in children if c.ppid() != process.pid]  # forked by a template
    return max(workers, key=lambda child: child.memory_info().rss)


@pytest.fixture(scope="module")
def undisturbed(shared_blockseg, brain, content_of):
    """The content of a run that nobody disturbs."""
    shared_blockseg("run", brain, "whole.zarr", *SMALL, "--json")
    return content_of(shared_blockseg.folder / "whole.zarr")


def test_after_killing_driver_and_worker_the_store_is_the_same_to_the_byte(
    blockseg, brain, content_of, events_of, undisturbed
):
    total = 2 * 3 * 4

    first = blockseg.start_and_stop(7, "run", brain, "killed.zarr", *SMALL)
    before = done_blocks(first, events_of, 7)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()

    second = blockseg.start_and_stop(6, "run", brain, "killed.zarr", *SMALL)
    after = done_blocks(second, events_of, 6)
    a_worker_of(second).kill()
    second.send_signal(signal.SIGCONT)
    after += done_blocks(second, events_of, total)
    assert second.wait(300) == 0, second.stdout.read()

    assert len(before) == 7
    assert len(after) == len(set(after)), "a block was written twice in one session"
    assert not set(before) & set(after), "a finished block was done again"
    assert content_of(blockseg.folder / "killed.zarr") == undisturbed
    status = blockseg("status", "killed.zarr").stdout
    assert "killed.zarr: complete" in status


def test_an_interrupted_run_says_so_and_goes_on(
    blockseg, brain, content_of, undisturbed
):
    first = blockseg.start_and_stop(3, "run", brain, "stopped.zarr", *SMALL)
    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGCONT)
    rest = first.stdout.read()
    assert first.wait(300) == 130
    assert "Interrupted" in rest
    assert "stopped.zarr: stopped" in blockseg("status", "stopped.zarr").stdout

    blockseg("run", brain, "stopped.zarr", *SMALL, "-q")
    assert content_of(blockseg.folder / "stopped.zarr") == undisturbed


def test_a_second_run_on_the_same_output_is_refused_while_the_first_lives(
    blockseg, brain
):
    # It lives, and does not end before we ask.
    first = blockseg.start_and_stop(1, "run", brain, "held.zarr", *SMALL)
    again = ("run", brain, "held.zarr", *SMALL, "--scheduler", "serial")
    refused = blockseg(*again, code=1)
    assert f"another run (process {first.pid}" in refused.stderr
    assert "held.zarr: running" in blockseg("status", "held.zarr").stdout
