"""Clusters of somebody else: schedulers and nannies that die, workers that come and go."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from tests.faults.child import environment
from tests.faults.lab import SLOW, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.lab import Lab


@dataclass
class Cluster:
    """A scheduler and workers of our own making that blockseg does not own."""

    lab: Lab
    port: int
    variables: dict[str, Any]
    scheduler: Any = None
    workers: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def begin(self) -> None:
        self.scheduler = self._dask(
            "scheduler", "--host", self.address, "--no-dashboard"
        )
        deadline = time.monotonic() + 300
        while not listening(self.port):
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.05)

    def join(self, *more: str) -> Any:
        worker = self._dask(
            "worker", self.address, "--nthreads", "2", "--no-dashboard", *more
        )
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for process in [*self.workers, self.scheduler]:
            with contextlib.suppress(ProcessLookupError, AttributeError):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.workers.clear()

    def _dask(self, *words: str) -> Any:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            cwd=self.lab.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(**self.variables),
        )


@contextlib.contextmanager
def cluster(lab: Lab, trouble: Any = SLOW, workers: int = 2) -> Iterator[Cluster]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Cluster(lab, port, {"BLOCKSEG_FAKE_TROUBLE": trouble})
    try:
        made.begin()
        for _ in range(workers):
            made.join()
        yield made
    finally:
        made.end()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@fault("nanny killed", ci=True)
def nanny_killed(lab: Lab) -> None:
    with cluster(lab) as theirs:
        child = lab.start("--scheduler", theirs.address)
        lab.when(child)
        lab.dice.choice(theirs.workers).kill()  # its worker ends with it
        assert child.wait() == 0, child.said
        no_traceback(child)
    lab.check()


@fault("scheduler killed, and back", ci=True)
def scheduler_killed(lab: Lab) -> None:
    with cluster(lab) as theirs:
        where = ("--scheduler", theirs.address)
        child = lab.start(*where)
        child.until(lambda c: c.events("PhaseStarted"))
        child.until_done(lab.dice.randrange(12))
        child.sleep(lab.dice.uniform(0, 0.4))
        lab.still_at_work(child)
        theirs.scheduler.kill()
        theirs.scheduler.wait()
        code = child.wait()
        assert code in (0, 3), child.said
        no_traceback(child)
        theirs.end()
        theirs.begin()
        theirs.join()
        lab.resume(*where)
    lab.check()


@fault("driver killed on a cluster of others")
def driver_killed(lab: Lab) -> None:
    with cluster(lab) as theirs:
        where = ("--scheduler", theirs.address)
        child = lab.start(*where)
        lab.when(child)
        child.kill_driver()
        lab.resume(*where)
    lab.check()


@fault("worker of others stopped while its driver is killed", ci=True)
def stopped_writer(lab: Lab) -> None:
    second_writer(lab, lab.dice.uniform(1.0, 9.0))


@fault("worker of others stopped for a minute while its driver is killed", seldom=True)
def stopped_writer_for_a_minute(lab: Lab) -> None:
    second_writer(lab, 60.0)


def second_writer(lab: Lab, seconds: float) -> None:
    """Let a worker go on with blocks that another driver has given to others."""
    with cluster(lab) as theirs:
        where = ("--scheduler", theirs.address)
        child = lab.start(*where)
        child.until_done(lab.dice.randrange(12))
        stopped = psutil.Process(theirs.workers[0].pid).children(recursive=True)
        assert stopped, "the nanny has no worker"
        for process in stopped:
            process.suspend()
        child.kill_driver()
        second = lab.start(*where)
        second.sleep(seconds)
        for process in stopped:
            process.resume()
        assert second.wait() == 0, second.said
        no_traceback(second)
    lab.check()


@fault("workers that live shorter than a block")
def lifetimes(lab: Lab) -> None:
    with cluster(lab, trouble={"seconds": 6.0}, workers=0) as theirs:
        for _ in range(2):
            theirs.join("--lifetime", "2s", "--lifetime-restart")
        child = lab.start("--scheduler", theirs.address)
        assert child.wait() == 3, child.said
        no_traceback(child)
        assert "--lifetime" in child.output, child.output[-2000:]
    lab.resume()
    lab.check()


@fault("workers that leave and come back between blocks")
def short_lives(lab: Lab) -> None:
    with cluster(lab, trouble={"seconds": 0.5}, workers=0) as theirs:
        for _ in range(2):
            life = f"{lab.dice.uniform(8.0, 14.0):.1f}s"
            theirs.join("--lifetime", life, "--lifetime-restart")
        child = lab.start("--scheduler", theirs.address)
        code = child.wait()
        no_traceback(child)
        # On a machine that is busy with others a life is over before its first block.
        assert code == 0 or (code == 3 and "--lifetime" in child.output), child.said
        lab.note(f"exit code {code}")
    if code:
        lab.resume()
    lab.check()


@fault("no worker comes", ci=True)
def no_workers(lab: Lab) -> None:
    with cluster(lab, workers=0) as theirs:
        where = ("--scheduler", theirs.address)
        child = lab.start(*where, "--worker-timeout", "6")
        assert child.wait() == 3, child.said
        assert "waiting for workers" in child.output, child.output
        assert "no Dask worker for 6 s" in child.said, child.said
    lab.resume()
    lab.check()


@fault("Ctrl-C while no worker comes", ci=True)
def no_workers_interrupted(lab: Lab) -> None:
    with cluster(lab, workers=0) as theirs:
        child = lab.start("--scheduler", theirs.address)
        child.until(lambda c: "waiting for workers" in c.output)
        child.sleep(lab.dice.uniform(0, 2))
        child.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert child.wait(100) == 130, child.said
        lab.note(f"ended after {time.monotonic() - began:.1f} s")
        no_traceback(child)
    lab.resume()
    lab.check()


@fault("two drivers on one output", ci=True)
def two_drivers(lab: Lab) -> None:
    first = lab.start("--workers", "1")
    first.sleep(lab.dice.uniform(0, 4))
    second = lab.start("--workers", "1")
    codes = sorted([first.wait(), second.wait()])
    assert codes in ([0, 0], [0, 1]), f"{codes} {first.said} {second.said}"
    for child in (first, second):
        no_traceback(child)
    if codes == [0, 1]:
        said = first.said + second.said
        assert "another run" in said, said
    lab.check()
