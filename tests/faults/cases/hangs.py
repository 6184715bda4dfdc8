"""Workers that hang, are stopped, leak, or die of one block."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import psutil

from tests.faults.cases.kills import send
from tests.faults.child import is_dead
from tests.faults.lab import OWN, SLOW, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from tests.faults.child import Child
    from tests.faults.lab import Lab

SECONDS = 8  # many times what a block takes, on a busy machine too
LIMIT = ("--block-timeout", str(SECONDS))


def once(lab: Lab, marked: str) -> dict[str, object]:
    return {**SLOW, "marked": marked, "once": str(lab.folder / "once")}


def lost(child: Child) -> list[str]:
    """Return why workers were lost; on a busy machine also one that is only slow."""
    return [event["why"] for event in child.events("WorkerLost")]


@fault("block that hangs", ci=True)
def block_hangs(lab: Lab) -> None:
    child = lab.start(*OWN, *LIMIT, trouble=once(lab, "hang"))
    assert child.wait() == 0, child.said
    assert any(f"no end within {SECONDS} s" in why for why in lost(child)), lost(child)
    lab.check()


@fault("block that hangs each time")
def block_hangs_always(lab: Lab) -> None:
    child = lab.start(*OWN, *LIMIT, "--attempts", "2", trouble={"marked": "hang"})
    assert child.wait() == 3, child.said
    (failed,) = child.events("BlockFailed")
    said = failed["report"]["error"]
    assert f"did not end this block, alone, within {SECONDS} s" in said
    lab.resume()
    lab.check()


@fault("worker that freezes", ci=True)
def worker_freezes(lab: Lab) -> None:
    child = lab.start(*OWN, *LIMIT, trouble=once(lab, "freeze"))
    assert child.wait() == 0, child.said
    assert any("does not answer" in why for why in lost(child)), lost(child)
    lab.check()


@fault("worker stopped and continued")
def stopped_and_continued(lab: Lab) -> None:
    child = lab.start(*OWN, *LIMIT)
    lab.when(child)
    stopped(lab, child, lab.dice.uniform(0.5, 20.0))
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.check()


@fault("worker stopped for a minute and continued", seldom=True)
def stopped_for_a_minute(lab: Lab) -> None:
    # With a limit the worker is replaced, and without one, which is long, waited for.
    limit = lab.dice.choice([LIMIT, ()])
    child = lab.start(*OWN, *limit)
    child.until(lambda c: c.events("PhaseStarted"))
    child.until_done(lab.dice.randrange(2, 12))
    replaced = stopped(lab, child, 60.0, whole=True)
    assert child.wait() == 0, child.said
    no_traceback(child)
    assert replaced or not limit, child.output[-3000:]
    assert limit or not lost(child), lost(child)
    lab.note("replaced" if limit else "waited for")
    lab.check()


def stopped(lab: Lab, child: Child, seconds: float, *, whole: bool = False) -> bool:
    """Stop a worker for a while, or until the run ends; say whether it was killed."""
    worker = lab.dice.choice(child.some_workers())
    send(worker, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while worker.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "a worker does not stop"
        time.sleep(0.01)
    if whole:
        time.sleep(seconds)
    else:
        child.sleep(seconds)
    replaced = is_dead(worker)
    send(worker, signal.SIGCONT)
    return replaced


@fault("driver stopped and continued")
def driver_stopped(lab: Lab) -> None:
    child = lab.start(*OWN, *LIMIT)
    lab.when(child)
    child.process.send_signal(signal.SIGSTOP)
    child.sleep(lab.dice.uniform(0.5, 8.0))
    child.process.send_signal(signal.SIGCONT)
    assert child.wait() == 0, child.said
    no_traceback(child)
    assert not child.events("BlockFailed")
    lab.check()


@fault("worker that leaks up to its limit", ci=True)
def worker_leaks(lab: Lab) -> None:
    child = lab.start(*OWN, "--memory", "3GB", trouble=once(lab, "leak"))
    assert child.wait() == 0, child.said
    assert child.events("WorkerLost")
    lab.check()


@fault("block that kills every worker", ci=True)
def poison(lab: Lab) -> None:
    child = lab.start(*OWN, "--attempts", "2", trouble={"marked": "crash"})
    assert child.wait() == 3, child.said
    (failed,) = child.events("BlockFailed")
    assert "died while it ran this block alone" in failed["report"]["error"]
    lab.resume()
    lab.check()


@fault("block that raises each time")
def raises(lab: Lab) -> None:
    child = lab.start(*OWN, trouble={"marked": "raise"})
    assert child.wait() == 3, child.said
    (failed,) = child.events("BlockFailed")
    assert failed["attempts"] == 3
    lab.resume()
    lab.check()
