"""Commands that work block by block, each harmed in the same ways and resumed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from tests.faults.cases.disks import heeding_permissions, stopped
from tests.faults.cases.hangs import LIMIT
from tests.faults.cases.kills import kill_one
from tests.faults.check import check_same
from tests.faults.child import NotHarmedError
from tests.faults.lab import OWN, RUN, SERIAL, SHAPE, finished, no_traceback, placed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.child import Child
    from tests.faults.lab import Lab

LABEL = ("label", "{out}")
SKELETONIZE = ("skeletonize", "{out}", "--block", "32")
SLOW = {"seconds": 0.15}
PAGE = 4096


@dataclass(frozen=True)
class Job:
    """A command, and where it enters its blocks."""

    name: str
    command: tuple[str, ...]
    phases: tuple[tuple[str, str], ...]
    """Folder of the ledger below ``.blockseg``, and name of the pass, in turn."""

    first: tuple[tuple[str, ...], ...] | None = None
    """Commands on a finished run that come before; None of one that reads SOURCE."""

    def ledgers(self, out: Path) -> list[tuple[Path, str]]:
        folder = out / ".blockseg"
        return [(folder / part / "ledger.sqlite", phase) for part, phase in self.phases]

    def entered(self, out: Path) -> int:
        """Return how many blocks its ledgers have, which may not be there yet."""
        return sum(
            blocks_of(ledger, phase, anew=self.name == "threshold")
            for ledger, phase in self.ledgers(out)
        )


def _of_source(*words: str) -> tuple[str, ...]:
    return (*words, "--block", "32", "--voxel-size", "1,1,1")


SYNTH = ("synth", "{out}", "--shape", "64,96,128", "--preset", "clean", "--block", "32")
LABELLED = (("label-pieces", "pieces"), ("label-pieces", "seams"), ("label", "label"))
ATLAS = ("--atlas", "{folder}/atlas.tif", "--atlas-voxel-size", "1")
MAP = ("--voxel-size", "8")
JOBS = {
    job.name: job
    for job in (
        Job("metrics", _of_source("metrics", "{source}", "{out}"), (("", "metrics"),)),
        Job("convert", _of_source("convert", "{source}", "{out}"), (("", "copy"),)),
        Job(
            "synth",
            SYNTH,
            (("", "synth"),),
        ),
        Job("label", LABEL, LABELLED, ()),
        Job(
            "skeletonize",
            SKELETONIZE,
            (("skeletonize", "lines"), ("skeletonize-traces", "traces")),
            (LABEL,),
        ),
        Job("threshold", ("threshold", "{out}", "0.7"), (("", "segment"),), ()),
        Job(
            "regions",
            ("regions", "{out}", *ATLAS),
            (("regions", "atlas"), ("regions", "voxels"), ("regions", "lengths")),
            (LABEL, SKELETONIZE),
        ),
        Job(
            "density",
            ("density", "{out}", *MAP),
            (("density-lengths", "density-lengths"), ("density", "density")),
            (LABEL, SKELETONIZE),
        ),
    )
}


def blocks_of(ledger: Path, phase: str = "", *, anew: bool = False) -> int:
    """Return how many blocks a ledger has, which may not be there yet.

    Parameters
    ----------
    ledger
        The file.
    phase
        Pass whose blocks count; all if empty.
    anew
        Whether blocks only count while those of before are set aside.
    """
    if not ledger.exists():
        return 0
    with contextlib.suppress(sqlite3.Error), sqlite3.connect(ledger) as connection:
        query = "SELECT phase, COUNT(*) FROM blocks GROUP BY 1"
        counts = dict(connection.execute(query).fetchall())
        if anew and f"{phase}-before" not in counts:
            return 0
        return int(counts.get(phase, 0) if phase else sum(counts.values()))
    return 0


def before_and_after(lab: Lab, job: Job) -> tuple[Path | None, Path]:
    """Return what a command finds and what it makes of it, undisturbed."""
    if job.first is None:
        return None, lab.brain.undisturbed(job.name, *job.command, *SERIAL, "-q")
    folder = lab.brain.folder / job.name  # charts have the name of OUT in them
    whole, before = folder / "out.zarr", folder / "before.zarr"
    with lab.brain.lock:
        if not whole.exists():
            _make_atlas(lab.brain.folder / "atlas.tif")
            shutil.rmtree(before, ignore_errors=True)
            run = lab.brain.undisturbed("run", *RUN, *SERIAL, "-q")
            shutil.copytree(run, before)
            for command in job.first:
                _finish(lab, command, before)
            part = folder / "part" / "out.zarr"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(before, part)
            _finish(lab, job.command, part)
            part.rename(whole)
    return before, whole


def _finish(lab: Lab, command: tuple[str, ...], out: Path) -> None:
    words = placed(command, lab.brain.source, out)
    code, said = finished(lab.folder, *words, *SERIAL, "-q")
    assert code == 0, said


def _make_atlas(place: Path) -> None:
    """Write four regions over the brain, unless they are there."""
    if place.exists():  # a newer file is another atlas
        return
    regions = np.ones(SHAPE, np.uint16)
    regions[:, SHAPE[1] // 2 :] += 1
    regions[SHAPE[0] // 2 :] += 2
    tifffile.imwrite(place, regions)


@dataclass(frozen=True)
class Begun:
    """A command on a copy of what it finds, that is to be harmed."""

    lab: Lab
    job: Job
    whole: Path

    @classmethod
    def of(cls, lab: Lab, job: Job) -> Begun:
        before, whole = before_and_after(lab, job)
        if before is not None:
            shutil.copytree(before, lab.out)
        return cls(lab, job, whole)

    def start(self, *words: Any, within: Any = (), **faults: Any) -> Child:
        """Start it, with its blocks slow enough to be harmed."""
        return self.lab.start(
            *words,
            command=self.job.command,
            events=False,
            trouble={},
            within=within,
            BLOCKSEG_FAULTS=self.lab.faults(**{"blocks": SLOW, **faults}),
        )

    def moment(self, child: Child, least: int = 0) -> None:
        """Wait until a seeded share of the blocks is in the ledgers."""
        every = len(self.blocks)
        most = self.lab.dice.randrange(least, every)
        child.until(lambda _: self.job.entered(self.lab.out) >= most)
        child.sleep(self.lab.dice.uniform(0.0, 0.1))
        self.lab.note(f"after {self.job.entered(self.lab.out)} of {every} blocks")
        self.lab.still_at_work(child)

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """Every block that is worked on, with its pass."""
        return [
            (phase, block)
            for ledger, phase in self.job.ledgers(self.whole)
            for block in _ids(ledger, phase)
        ]

    @property
    def blocks_of_workers(self) -> list[tuple[str, int]]:
        """Those that workers do: so few lines of objects are traced by the driver."""
        return [block for block in self.blocks if block[0] != "traces"]

    def resume(self) -> None:
        """Give the command again, and compare every byte and the ledgers."""
        self.lab.resume(command=self.job.command)
        self.check()

    def check(self) -> None:
        check_same(self.lab.out, self.whole)
        self.lab.resume("-q", "--deep", command=("verify", "{out}"))
        self.lab.brain.check_source()


def _ids(ledger: Path, phase: str) -> list[int]:
    with sqlite3.connect(ledger) as connection:
        query = "SELECT block_id FROM blocks WHERE phase = ? ORDER BY 1"
        return [block for (block,) in connection.execute(query, (phase,))]


def killed(lab: Lab, job: Job) -> None:
    begun = Begun.of(lab, job)
    child = begun.start(*OWN)
    begun.moment(child)
    child.kill()
    begun.resume()


def not_at_its_end(child: Child, code: int) -> None:
    """Raise if a signal came when there was nothing left to interrupt."""
    if code == 0:
        message = f"the command had ended before its signal: {child.said[-1000:]}"
        raise NotHarmedError(message)


def disturbed(lab: Lab, job: Job) -> None:
    """Interrupt a command, or kill a worker of its."""
    begun = Begun.of(lab, job)
    child = begun.start(*OWN)
    begun.moment(child, least=1)  # before it listens, a signal just ends it
    how = lab.dice.choice(["worker killed", "Ctrl-C", "SIGTERM"])
    lab.note(how)
    if how == "worker killed":
        kill_one(lab, child)
        assert child.wait() == 0, child.said
    else:
        number = signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):  # it ended before
            os.killpg(child.process.pid, number)
        code = child.wait(60)
        not_at_its_end(child, code)
        assert code == 130, f"exit code {code}: {child.said}"
    no_traceback(child)
    begun.resume()


def hangs(lab: Lab, job: Job) -> None:
    begun = Begun.of(lab, job)
    phase, block = lab.dice.choice(begun.blocks_of_workers)
    lab.note(f"{phase} {block}")
    kind = lab.dice.choice(["hang", "freeze"])
    once = str(lab.folder / "once")
    trouble = {**SLOW, "marked": kind, "phase": phase, "block": block, "once": once}
    child = begun.start(*OWN, *LIMIT, blocks=trouble)
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.harmed(kind)
    begun.check()


def poison(lab: Lab, job: Job) -> None:
    begun = Begun.of(lab, job)
    phase, block = lab.dice.choice(begun.blocks_of_workers)
    lab.note(f"{phase} {block}")
    trouble = {"marked": "crash", "phase": phase, "block": block}
    child = begun.start(*OWN, "--attempts", "2", blocks=trouble)
    assert child.wait() == 3, f"exit code {child.process.returncode}: {child.said}"
    no_traceback(child)
    lab.note(f"killed {lab.harmed('crash')} workers")
    assert "died while it ran this block alone" in child.said, child.said[-3000:]
    failed = sum(_failed(ledger) for ledger, _ in dict(job.ledgers(lab.out)).items())
    assert failed == 1, f"{failed} blocks failed, not the one that kills"
    if job.name == "threshold":  # the probability of the block is no longer trusted
        assert "blockseg retry" in child.said, child.said[-2000:]
        lab.resume(command=("retry", "{out}"))
        begun.check()
    else:
        begun.resume()


def _failed(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with sqlite3.connect(ledger) as connection:
        query = "SELECT COUNT(*) FROM blocks WHERE state = 'failed'"
        return int(connection.execute(query).fetchone()[0])


def slow(lab: Lab, job: Job) -> None:
    begun = Begun.of(lab, job)
    child = begun.start(*OWN, slow=lab.dice.uniform(0.01, 0.1))
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.note(f"{lab.harmed('slow')} slow reads")
    begun.check()


def failing(lab: Lab, job: Job) -> None:
    begun = Begun.of(lab, job)
    child = begun.start(*lab.dice.choice([OWN, SERIAL]), failing=0.1)
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.note(f"{lab.harmed('failing')} reads failed")
    begun.check()


def disk_full(lab: Lab, job: Job) -> None:
    before, whole = before_and_after(lab, job)
    disk = lab.folder / "disk"
    lab.tmpfs(disk, 64 * 2**20)
    lab.out = disk / "out.zarr"
    if before is not None:
        shutil.copytree(before, lab.out)
    state = os.statvfs(disk)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    grows = _bytes(whole) - (0 if before is None else _bytes(before))
    room = lab.dice.randrange(PAGE, max(grows * 3 // 4, 4 * PAGE))
    lab.grow(disk, used + room)
    begun = Begun(lab, job, whole)
    child = begun.start(*lab.dice.choice([OWN, SERIAL]))
    stopped(child, "no space left")
    lab.note(f"after {job.entered(lab.out)} blocks, with {room} bytes")
    lab.grow(disk, 64 * 2**20)
    begun.resume()


def _bytes(store: Path) -> int:
    """Return what a store takes on a disk, in whole pages."""
    sizes = [path.stat().st_size for path in store.rglob("*") if path.is_file()]
    return sum(-(-size // PAGE) * PAGE for size in sizes)


def read_only(lab: Lab, job: Job) -> None:
    begun = Begun.of(lab, job)
    child = begun.start(*lab.dice.choice([OWN, SERIAL]), within=heeding_permissions())
    begun.moment(child)
    folders = [path for path in lab.out.rglob("*") if path.is_dir()]
    folders = [path for path in folders if path.name != ".blockseg"]
    modes = {folder: folder.stat().st_mode for folder in (*folders, lab.out)}
    for folder in modes:
        with contextlib.suppress(FileNotFoundError):  # one that it has just removed
            folder.chmod(0o555)
    code = child.wait()
    for folder, mode in modes.items():
        with contextlib.suppress(FileNotFoundError):
            folder.chmod(mode)
    no_traceback(child)
    if code == 0:
        message = "all was written before the store was read-only"
        raise NotHarmedError(message)
    assert code == 3, f"exit code {code}: {child.said}"
    assert "permission denied" in child.said.lower(), child.said[-2000:]
    begun.resume()
