"""Trainings, and the choice of what to annotate for them, harmed and resumed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import tifffile
from safetensors.numpy import load_file

from tests.faults.cases.disks import heeding_permissions
from tests.faults.check import check_same
from tests.faults.child import ENDS_WITHIN, Child, NotHarmedError, start
from tests.faults.commands import not_at_its_end
from tests.faults.lab import RUN, SERIAL, finished, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.lab import Lab

TRAIN = (
    "train", "{data}", "-o", "{out}", "--width", "2", "--patch", "16", "--batch", "1",
    "--threads", "1", "--no-tensorboard", "--validate-every", "4", "--steps", "24",
)  # fmt: skip
ALONE = ("--workers", "0")
PICK = ("propose-annotations", "{run}", "-o", "{out}", "--count", "4")

ROOM = 32 * 2**20


class Training:
    """A training of a small network that is to be harmed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.out = lab.folder / "training"
        self.data = lab.brain.folder / "annotated"
        self.whole = lab.brain.folder / "training"
        with lab.brain.lock:
            if not self.whole.exists():
                _annotated(self.data)
                part = self.whole.with_name("training.part")
                code, said = finished(lab.folder, *self.words(part, ALONE), "-q")
                assert code == 0, said
                part.rename(self.whole)

    def words(self, out: Path, more: tuple[str, ...]) -> list[str]:
        return [word.format(data=self.data, out=out) for word in (*TRAIN, *more)]

    def start(
        self, more: tuple[str, ...] = ALONE, within: Any = (), **variables: Any
    ) -> Child:
        words = self.words(self.out, more)
        child = start(self.lab.folder, *words, within=within, **variables)
        self.lab.children.append(child)
        return child

    def moment(self, child: Child, least: int = 0) -> None:
        """Wait until the log has a seeded number of rows."""
        rows = self.lab.dice.randrange(least, 6)
        child.until(lambda _: self.rows() >= rows)
        child.sleep(self.lab.dice.uniform(0.0, 0.1))
        self.lab.note(f"after {self.rows()} rows of its log")
        self.lab.still_at_work(child)

    def rows(self) -> int:
        log = self.out / "log.csv"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def resume(self, more: tuple[str, ...] = ALONE) -> None:
        """Give the command again, and compare the weights."""
        code, said = finished(self.lab.folder, *self.words(self.out, more), "-q")
        assert code == 0, said
        self.check()

    def check(self) -> None:
        same = _weights(self.out) == _weights(self.whole)
        assert same, "the weights are others"


@fault("training killed", ci=True)
def killed(lab: Lab) -> None:
    training = Training(lab)
    child = training.start()
    training.moment(child)
    child.kill()
    training.resume()


@fault("training interrupted")
def interrupted(lab: Lab) -> None:
    training = Training(lab)
    child = training.start()
    training.moment(child, least=1)
    number = lab.dice.choice([signal.SIGINT, signal.SIGTERM])
    child.process.send_signal(number)
    code = child.wait(60)
    lab.note(f"{number.name}, exit code {code}")
    not_at_its_end(child, code)
    assert code == 130, f"exit code {code}: {child.said}"
    no_traceback(child)
    training.resume()


@fault("training: a process that makes patches killed")
def maker_killed(lab: Lab) -> None:
    training = Training(lab)
    child = training.start(("--workers", "1"))
    maker = _maker(child)
    child.sleep(lab.dice.uniform(0.0, 2.0))
    lab.still_at_work(child)
    maker.kill()
    code = child.wait()
    no_traceback(child)
    if code == 0:  # it had made the last patch
        message = f"no patch was missing: {child.said[-1000:]}"
        raise NotHarmedError(message)
    assert code == 3, f"exit code {code}: {child.said}"
    assert "a process that makes patches died" in child.said
    training.resume()


def _maker(child: Child) -> psutil.Process:
    """Wait for a process that makes patches, and return it."""
    deadline = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < deadline and child.process.poll() is None:
        for process in child.family()[1:]:
            try:
                if any("spawn_main" in word for word in process.cmdline()):
                    return process
            except psutil.Error:
                continue
        time.sleep(0.02)
    message = f"no process made patches: {child.said[-1000:]}"
    raise NotHarmedError(message)


@fault("training: store that is slow")
def slow(lab: Lab) -> None:
    _badly_stored(lab, "slow", slow=lab.dice.uniform(0.01, 0.1))


@fault("training: store that fails one read in ten")
def failing(lab: Lab) -> None:
    _badly_stored(lab, "failing", failing=0.1)


def _badly_stored(lab: Lab, kind: str, **faults: float) -> None:
    training = Training(lab)
    child = training.start(BLOCKSEG_FAULTS=lab.faults(**faults))
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.note(f"{lab.harmed(kind)} reads")
    training.check()


@fault("training: disk full", needs="mount")
def disk_full(lab: Lab) -> None:
    training = Training(lab)
    size = sum(path.stat().st_size for path in training.whole.rglob("*"))
    disk = lab.folder / "disk"
    lab.tmpfs(disk, lab.dice.randrange(4096, size * 3 // 4))
    training.out = disk / "training"
    child = training.start()
    code = child.wait()
    lab.note(f"after {training.rows()} rows of its log")
    assert code == 3, f"exit code {code}: {child.said}"
    no_traceback(child)
    assert "no space left" in child.said.lower(), child.said[-2000:]
    lab.grow(disk, ROOM)
    training.resume()


@fault("training: store read-only midway")
def read_only(lab: Lab) -> None:
    training = Training(lab)
    child = training.start(within=heeding_permissions())
    training.moment(child, least=1)
    training.out.chmod(0o555)
    code = child.wait()
    training.out.chmod(0o755)
    no_traceback(child)
    if code == 0:
        message = "all was written before the store was read-only"
        raise NotHarmedError(message)
    assert code == 3, f"exit code {code}: {child.said}"
    assert "permission denied" in child.said.lower(), child.said[-2000:]
    training.resume()


class Picking:
    """A choice of blocks to annotate that is to be harmed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.out = lab.folder / "picks"
        self.run = lab.brain.undisturbed("run", *RUN, *SERIAL, "-q")
        self.whole = lab.brain.folder / "picks"
        with lab.brain.lock:
            if not self.whole.exists():
                part = self.whole.with_name("picks.part")
                shutil.rmtree(part, ignore_errors=True)
                code, said = finished(lab.folder, *self.words(part))
                assert code == 0, said
                part.rename(self.whole)

    def words(self, out: Path) -> list[str]:
        words = (*PICK, "-q")
        return [word.format(run=self.run, out=out) for word in words]

    def start(self, within: Any = (), **faults: Any) -> Child:
        words = self.words(self.out)
        told = self.lab.faults(**{"slow": 0.02, **faults})
        child = start(self.lab.folder, *words, within=within, BLOCKSEG_FAULTS=told)
        self.lab.children.append(child)
        return child

    def moment(self, child: Child, least: int = 0) -> None:
        """Wait until a seeded number of picks is there."""
        picks = self.lab.dice.randrange(least, 4)
        child.until(lambda _: self.picks() >= picks)
        self.lab.note(f"after {self.picks()} of 4 picks")
        self.lab.still_at_work(child)

    def picks(self) -> int:
        folder = self.out / "label"
        return len(list(folder.glob("*.tif"))) if folder.is_dir() else 0

    def resume(self) -> None:
        """Give the command again, and compare every file but the report."""
        code, said = finished(self.lab.folder, *self.words(self.out))
        assert "Traceback" not in said, said
        assert code == 0, said
        self.check()

    def check(self) -> None:
        for folder in (self.out, self.whole):
            (folder / "report.html").unlink(missing_ok=True)
        check_same(self.out, self.whole)


@fault("propose-annotations: killed")
def picking_killed(lab: Lab) -> None:
    picking = Picking(lab)
    child = picking.start()
    picking.moment(child)
    child.kill()
    picking.resume()


@fault("propose-annotations: interrupted")
def picking_interrupted(lab: Lab) -> None:
    picking = Picking(lab)
    child = picking.start()
    picking.moment(child, least=1)
    number = lab.dice.choice([signal.SIGINT, signal.SIGTERM])
    os.killpg(child.process.pid, number)
    code = child.wait(60)
    lab.note(f"{number.name}, exit code {code}")
    not_at_its_end(child, code)
    assert code == 130, f"exit code {code}: {child.said}"
    no_traceback(child)
    picking.resume()


@fault("propose-annotations: store that fails one read in ten")
def picking_failing(lab: Lab) -> None:
    picking = Picking(lab)
    child = picking.start(failing=0.1)
    assert child.wait() == 0, child.said
    no_traceback(child)
    lab.note(f"{lab.harmed('failing')} reads failed, all were slow")
    picking.check()


@fault("propose-annotations: disk full", needs="mount")
def picking_disk_full(lab: Lab) -> None:
    picking = Picking(lab)
    size = sum(path.stat().st_size for path in picking.whole.rglob("*"))
    disk = lab.folder / "disk"
    lab.tmpfs(disk, lab.dice.randrange(4096, size * 3 // 4))
    picking.out = disk / "picks"
    child = picking.start()
    code = child.wait()
    lab.note(f"after {picking.picks()} of 4 picks")
    assert code == 3, f"exit code {code}: {child.said}"
    no_traceback(child)
    assert "no space left" in child.said.lower(), child.said[-2000:]
    lab.grow(disk, ROOM)
    picking.resume()


@fault("propose-annotations: store read-only midway")
def picking_read_only(lab: Lab) -> None:
    picking = Picking(lab)
    child = picking.start(within=heeding_permissions())
    picking.moment(child, least=1)
    folders = [path for path in picking.out.rglob("*") if path.is_dir()]
    for folder in (*folders, picking.out):
        folder.chmod(0o555)
    code = child.wait()
    for folder in (*folders, picking.out):
        folder.chmod(0o755)
    no_traceback(child)
    if code == 0:
        message = "all was written before the store was read-only"
        raise NotHarmedError(message)
    assert code in (1, 3), f"exit code {code}: {child.said}"
    assert "permission denied" in child.said.lower(), child.said[-2000:]
    picking.resume()


def _weights(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return all parameters; the file's header has its keys in no order."""
    return {
        path.name: {
            name: value.tobytes() for name, value in sorted(load_file(path).items())
        }
        for path in folder.glob("*.safetensors")
    }


def _annotated(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for kind in ("image", "label"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        image = rng.normal(200, 10, (24, 24, 24))
        mask = np.zeros(image.shape, np.uint8)
        z, y = rng.integers(4, 20, 2)
        image[z, y], mask[z, y] = 400, 1
        for kind, voxels in (("image", image.astype(np.uint16)), ("label", mask)):
            # Of many strips, which are read one by one, and not mapped into memory.
            place = folder / kind / f"{name}.tif"
            tifffile.imwrite(place, voxels, rowsperstrip=4, compression="zlib")
