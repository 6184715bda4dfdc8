"""Drivers that are killed or interrupted, and clusters that outlive them."""

import inspect
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from blockseg.core.blocks import BlockQueue, BlockReport
from blockseg.core.errors import ClusterError
from blockseg.runtime.dask.cluster import connect
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.dask.settle import settle_predecessor
from blockseg.runtime.driver import drive
from blockseg.runtime.ledger.ledger import Ledger

pytestmark = pytest.mark.dask

PATIENCE = 300.0  # seconds, against a test that never ends
DRIVER = Path(__file__).with_name("dask_driver.py")


def noted(folder, kind):
    files = folder.glob(f"{kind}-*")
    return Counter(int(line) for f in files for line in f.read_text().split())


@contextmanager
def driver(folder, blocks, seconds, scheduler=""):
    command = [sys.executable, str(DRIVER), str(folder), str(blocks), str(seconds)]
    process = subprocess.Popen(
        [*command, *([scheduler] if scheduler else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process, pattern, count=1):
    """Return what a driver printed, up to the ``count``-th line that matches."""
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        count -= bool(re.match(pattern, line))
        if not count:
            return lines
    raise AssertionError(lines)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def hold(folder, first):
    """Let no block end from number ``first`` on, until the file that is returned is gone."""
    (folder / "part").write_text(str(first))
    return (folder / "part").rename(folder / "hold")


def done_in_ledger(folder):
    with Ledger.read(folder / "ledger.sqlite") as ledger:
        return ledger.summary("segment").done


def test_a_killed_driver_leaves_no_workers_and_loses_only_blocks_in_flight(tmp_path):
    held = hold(tmp_path, 30)
    with driver(tmp_path, 60, 0.05) as first:
        read_until(first, "done", count=15)
        first.send_signal(signal.SIGKILL)
        first.wait()
    held.unlink()
    workers = [int(f.name.split("-")[1]) for f in tmp_path.glob("begun-*")]
    wait_until(lambda: all(gone(pid) for pid in workers))
    before = done_in_ledger(tmp_path)
    assert 15 <= before < 60
    with driver(tmp_path, 60, 0.0) as second:
        assert read_until(second, "phase")[-1] == f"phase {60 - before} 0"
    assert set(noted(tmp_path, "ended")) == set(range(60))
    again = noted(tmp_path, "begun") - Counter(range(60))
    assert again.total() <= 6  # the window of two workers with a thread each


def test_an_interrupt_from_the_terminal_reaches_all_and_loses_nothing(tmp_path):
    with driver(tmp_path, 200, 0.1) as process:
        read_until(process, "done", count=8)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: workers too
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.endswith("interrupted\n")
    assert err == ""
    begun = noted(tmp_path, "begun")
    assert begun == noted(tmp_path, "ended")
    assert done_in_ledger(tmp_path) == begun.total()


def test_a_run_to_its_end_leaves_the_terminal_quiet(tmp_path):
    with driver(tmp_path, 20, 0.0) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "phase 20 0" in out
    assert err == ""


@pytest.fixture
def scheduler(tmp_path):
    """Somebody else's cluster: a scheduler and a worker with a nanny."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    commands = (
        [*dask, "scheduler", "--host", address, "--no-dashboard"],
        [*dask, "worker", address, "--nthreads", "2", "--no-dashboard", "--name", "w"],
    )
    processes = []
    try:
        for command in commands:
            processes.append(start_elsewhere(command, tmp_path))
            wait_until(lambda: listening(port))
        yield address, processes
    finally:
        for process in processes:
            # The group: a worker's nanny has a child of its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start_elsewhere(command, folder):
    """Start a process where the tests' own files cannot be imported."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True
    )


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_external_cluster_outlives_us_and_keeps_nothing_of_us(scheduler, tmp_path):
    address, processes = scheduler
    for blocks in (20, 40):
        with driver(tmp_path, blocks, 0.0, address) as process:
            assert read_until(process, "phase")[-1] == "phase 20 0"
            assert process.wait(timeout=PATIENCE) == 0
    assert all(process.poll() is None for process in processes)
    with connect(address) as cluster:
        assert cluster.workers == 1
        left = cluster.client.run(
            lambda dask_worker: [n for n in dask_worker.plugins if "blockseg" in n]
        )
        assert list(left.values()) == [[]]
    assert noted(tmp_path, "begun") == Counter(range(40))
    assert len(list(tmp_path.glob("closed-*"))) == 1


def test_a_worker_of_others_that_restarts_has_the_actor_again(scheduler, tmp_path):
    address, _ = scheduler
    with driver(tmp_path, 60, 0.05, address) as process:
        read_until(process, "done", count=10)
        (begun,) = tmp_path.glob("begun-*")
        os.kill(int(begun.name.split("-")[1]), signal.SIGKILL)
        assert read_until(process, "phase")[-1] == "phase 60 0"
    assert len(list(tmp_path.glob("begun-*"))) == 2
    assert set(noted(tmp_path, "ended")) == set(range(60))


def test_a_new_driver_waits_for_the_blocks_of_a_dead_one(scheduler, tmp_path):
    address, _ = scheduler
    held = hold(tmp_path, 0)
    with driver(tmp_path, 30, 0.0, address) as first:
        wait_until(lambda: noted(tmp_path, "begun").total() >= 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
    events: list[Any] = []

    def let_go(event):
        events.append(event)
        held.unlink()

    with connect(address) as cluster:
        settle_predecessor(cluster, "another output", events.append)
        assert events == []
        settle_predecessor(cluster, "output", let_go)
        # Whatever the dead driver's blocks were, none runs now.
        assert noted(tmp_path, "begun") == noted(tmp_path, "ended")
        assert len(list(tmp_path.glob("closed-*"))) == 1
    assert "of an earlier run to end" in events[0].text
    assert len(events) == 1
    assert noted(tmp_path, "begun").total() < 6


def test_blocks_that_an_impatient_user_left_behind_are_waited_for(scheduler, tmp_path):
    address, _ = scheduler
    with driver(tmp_path, 30, 3.0, address) as first:
        wait_until(lambda: noted(tmp_path, "begun").total() >= 2)
        first.send_signal(signal.SIGINT)
        time.sleep(0.2)
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=PATIENCE) == 130
    with connect(address) as cluster:
        settle_predecessor(cluster, "output", lambda _: None)
        assert noted(tmp_path, "begun") == noted(tmp_path, "ended")
        wait_until(lambda: list(tmp_path.glob("closed-*")))


def test_blocks_that_do_not_end_are_not_waited_for_without_end(scheduler, tmp_path):
    address, _ = scheduler
    held = hold(tmp_path, 0)
    with driver(tmp_path, 5, 0.0, address) as first:
        wait_until(lambda: noted(tmp_path, "begun").total() >= 1)
        first.send_signal(signal.SIGKILL)
        first.wait()
    with (
        connect(address) as cluster,
        pytest.raises(ClusterError, match="of an earlier run still run after 0 s"),
    ):
        settle_predecessor(cluster, "output", lambda _: None, timeout=0.4)
    held.unlink()


class Instant:
    def __call__(self, block_id, meter):
        with meter("infer"):
            time.sleep(0.02)
        return BlockReport(block_id)

    def close(self):
        pass


def build_instant():
    return Instant()


def test_a_lost_scheduler_ends_the_run_and_keeps_what_was_done(scheduler, tmp_path):
    address, processes = scheduler
    with driver(tmp_path, 500, 0.05, address) as process:
        read_until(process, "done", count=10)
        processes[0].kill()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "ClusterLostError: the connection to the Dask scheduler was lost" in err
    assert done_in_ledger(tmp_path) >= 10


def test_an_unreachable_scheduler_is_told_in_one_line():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for address in (
            f"tcp://127.0.0.1:{silent.getsockname()[1]}",  # accepts, says nothing
            "tcp://127.0.0.1:1",
            "tcp://no-such-host.invalid:8786",
            "nonsense://",
        ):
            with pytest.raises(ClusterError, match="no Dask scheduler answers") as told:
                connect(address, timeout=2)
            assert "\n" not in str(told.value)


def test_nobody_waits_more_than_ten_seconds_for_a_scheduler():
    assert inspect.signature(connect).parameters["timeout"].default <= 10


def test_workers_that_do_not_know_us_are_an_error_of_the_run(scheduler, tmp_path):
    address, _ = scheduler
    with (
        connect(address) as cluster,
        Ledger.create(tmp_path / "l.sqlite", "print") as ledger,
    ):
        cluster.client.wait_for_workers(1, timeout=PATIENCE)
        executor, queue = DaskExecutor(cluster, "output"), BlockQueue([0])
        with pytest.raises(ClusterError, match=r"workers cannot prepare: .*No module"):
            # A function of this file, which no worker can import.
            drive(executor, queue, ledger, "segment", build_instant, lambda _: None)


def test_events_of_a_driver_come_after_the_ledger_has_them(tmp_path):
    seen = []
    with driver(tmp_path, 30, 0.01) as process:
        for line in process.stdout or ():
            if line.startswith("done"):
                seen.append(int(line.split()[1]))
                with Ledger.read(tmp_path / "ledger.sqlite") as ledger:
                    assert ledger.states("segment", 30)[seen[-1]]
    assert sorted(seen) == list(range(30))
