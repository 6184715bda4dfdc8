"""Kills and signals: of the driver, its workers, all at once, one after the other."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import psutil

from tests.faults.child import is_dead
from tests.faults.lab import BLOCKS, OWN, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from tests.faults.child import Child
    from tests.faults.lab import Lab


@fault("driver killed")
def driver_killed(lab: Lab) -> None:
    child = lab.start(*OWN)
    lab.when(child)
    child.kill()
    lab.resume()
    lab.check()


@fault("driver killed while it starts")
def driver_killed_early(lab: Lab) -> None:
    child = lab.start(*OWN)
    child.sleep(lab.dice.uniform(0.0, 5.0))
    child.kill()
    lab.resume()
    lab.check()


@fault("driver killed twice in a row", ci=True)
def killed_twice(lab: Lab) -> None:
    for _ in range(2):
        child = lab.start(*OWN)
        lab.when(child)
        child.kill()
    lab.resume()
    lab.check()


@fault("worker killed")
def worker_killed(lab: Lab) -> None:
    child = lab.start(*OWN)
    lab.when(child)
    kill_one(lab, child)
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.check()


@fault("all workers killed")
def workers_killed(lab: Lab) -> None:
    child = lab.start(*OWN)
    lab.when(child)
    for worker in child.some_workers():
        kill(worker)
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.check()


@fault("driver and workers killed at once", ci=True)
def all_killed(lab: Lab) -> None:
    child = lab.start(*OWN)
    lab.when(child)
    for process in child.family():
        kill(process)
    child.kill()
    lab.resume()
    lab.check()


@fault("Ctrl-C", ci=True)
def interrupted(lab: Lab) -> None:
    child = lab.start(*OWN)
    lab.when(child)
    os.killpg(child.process.pid, signal.SIGINT)  # as a terminal sends it: to all
    ended(child)
    lab.resume()
    lab.check()


@fault("Ctrl-C twice", ci=True)
def interrupted_twice(lab: Lab) -> None:
    # Blocks that take far longer than anybody waits: the second must not.
    child = lab.start(*OWN, trouble={"seconds": 600.0})
    child.until(lambda c: c.events("JobStarted"))
    child.sleep(lab.dice.uniform(0.5, 3.0))
    child.process.send_signal(signal.SIGINT)
    child.sleep(lab.dice.uniform(0.05, 2.0))
    child.process.send_signal(signal.SIGINT)
    assert child.wait() == 130, child.said
    no_traceback(child)
    lab.resume()
    lab.check()


@fault("SIGTERM to all, as of a batch system", ci=True)
def terminated(lab: Lab) -> None:
    child = lab.start(*OWN)
    lab.when(child)
    for process in child.family():
        send(process, signal.SIGTERM)
    ended(child)
    lab.resume()
    lab.check()


def ended(child: Child) -> None:
    """Wait for a command that has just been asked to end, with or without work left."""
    # Two blocks run at a time: of the last we may hear when all is over.
    over = child.process.poll() is not None or child.done() >= BLOCKS - 2
    code = child.wait()
    assert code in ((0, 130) if over else (130,)), f"exit code {code}: {child.said}"
    no_traceback(child)
    if code:
        assert "the same command resumes" in child.said


def kill_one(lab: Lab, child: Child) -> None:
    worker = lab.dice.choice(child.some_workers())
    kill(worker)
    deadline = time.monotonic() + 60
    while not is_dead(worker):
        assert time.monotonic() < deadline, "a worker outlived SIGKILL"
        time.sleep(0.01)


def kill(process: psutil.Process) -> None:
    send(process, signal.SIGKILL)


def send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
