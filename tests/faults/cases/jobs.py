"""Other jobs than a run, and a run of very many blocks, harmed and resumed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import tifffile
from safetensors.numpy import load_file

from tests.faults.cases.disks import SIZE, stopped
from tests.faults.cases.kills import kill_one
from tests.faults.check import check_ledger, check_same, rows
from tests.faults.child import start
from tests.faults.lab import (
    BLOCKS,
    OWN,
    RUN,
    SERIAL,
    finished,
    make_brain,
    no_traceback,
)
from tests.faults.table import fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.child import Child
    from tests.faults.lab import Lab

METRICS = (
    "metrics", "{source}", "{out}", "--block", "32", "--voxel-size", "1,1,1",
)  # fmt: skip
CONVERT = (
    "convert", "{source}", "{out}", "--block", "32", "--voxel-size", "1,1,1",
)  # fmt: skip
SYNTH = ("synth", "{out}", "--shape", "64,96,128", "--preset", "clean", "--block", "32")


def killed(_: Lab, child: Child) -> None:
    child.kill()


def disturbed(lab: Lab, child: Child) -> None:
    """Interrupt a command, or kill a worker of its."""
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
        assert code in (0, 130), f"exit code {code}: {child.said}"
    no_traceback(child)


Harm: TypeAlias = "Callable[[Lab, Child], None]"


def harmed_and_resumed(
    lab: Lab, name: str, command: tuple[str, ...], harm: Harm = killed
) -> None:
    child = lab.start(*OWN, command=command, events=False)
    child.sleep(lab.dice.uniform(1.0, 9.0))
    harm(lab, child)
    lab.note(f"after {blocks_of(lab.ledger)} of {BLOCKS} blocks")
    lab.resume(command=command)
    lab.check(name, *command, *SERIAL, "-q")


def blocks_of(ledger: Path) -> int:
    """Return how many blocks a ledger has, which may not be there yet."""
    with contextlib.suppress(sqlite3.OperationalError):
        return len(rows(ledger)) if ledger.exists() else 0
    return 0


@fault("metrics killed", ci=True)
def metrics(lab: Lab) -> None:
    harmed_and_resumed(lab, "metrics", METRICS)


@fault("convert killed")
def convert(lab: Lab) -> None:
    harmed_and_resumed(lab, "convert", CONVERT)


@fault("synth killed")
def synth(lab: Lab) -> None:
    harmed_and_resumed(lab, "synth", SYNTH)


@fault("metrics, convert or synth interrupted, or a worker killed")
def others_disturbed(lab: Lab) -> None:
    jobs = {"metrics": METRICS, "convert": CONVERT, "synth": SYNTH}
    name = lab.dice.choice(sorted(jobs))
    lab.note(name)
    harmed_and_resumed(lab, name, jobs[name], disturbed)


LABEL = ("label", "{out}")
SKELETONIZE = ("skeletonize", "{out}")
DERIVED = {"label": (LABEL,), "skeletonize": (LABEL, SKELETONIZE)}
"""What is made from a finished run, each with the commands that make it."""


def before_and_after(lab: Lab, name: str) -> tuple[Path, Path]:
    """Return a finished run before its last command, and after it, undisturbed."""
    whole = lab.brain.folder / f"{name}.zarr"
    before = lab.brain.folder / f"{name}-before.zarr"
    *first, last = DERIVED[name]
    with lab.brain.lock:
        if not whole.exists():
            shutil.copytree(lab.brain.undisturbed("run", *_run()), before)
            for command in first:
                _finish(lab, command, before)
            part = before.with_name(f"{name}-part.zarr")
            shutil.copytree(before, part)
            _finish(lab, last, part)
            part.rename(whole)
    return before, whole


def derived(lab: Lab, name: str, harm: Harm = killed) -> None:
    """Harm a command on a finished run, and give it again."""
    before, whole = before_and_after(lab, name)
    command = DERIVED[name][-1]
    shutil.copytree(before, lab.out)
    child = lab.start("--workers", "1", command=command, trouble={})
    child.until_done(lab.dice.randrange(12))
    child.sleep(lab.dice.uniform(0, 0.2))
    harm(lab, child)
    lab.resume(command=command)
    check_same(lab.out, whole)
    lab.brain.check_source()


def _run() -> tuple[str, ...]:
    return (*RUN, *SERIAL, "-q")


def _finish(lab: Lab, command: tuple[str, ...], out: Path) -> None:
    words = [str(word).format(source=lab.brain.source, out=out) for word in command]
    code, said = finished(lab.folder, *words, *SERIAL, "-q")
    assert code == 0, said


@fault("label killed", ci=True)
def label(lab: Lab) -> None:
    derived(lab, "label")


@fault("skeletonize killed", ci=True)
def skeletonize(lab: Lab) -> None:
    derived(lab, "skeletonize")


@fault("label or skeletonize interrupted, or its worker killed")
def derived_disturbed(lab: Lab) -> None:
    name = lab.dice.choice(sorted(DERIVED))
    lab.note(name)
    derived(lab, name, disturbed)


@fault("disk full under label or skeletonize", needs="mount")
def derived_disk_full(lab: Lab) -> None:
    name = lab.dice.choice(sorted(DERIVED))
    before, whole = before_and_after(lab, name)
    command = DERIVED[name][-1]
    disk = lab.folder / "disk"
    lab.tmpfs(disk, 20 * SIZE)
    lab.out = disk / "out.zarr"
    shutil.copytree(before, lab.out)
    state = os.statvfs(disk)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    lab.grow(disk, used + lab.dice.randrange(4096, 64 * 1024))
    child = lab.start(*lab.dice.choice([OWN, SERIAL]), command=command, trouble={})
    stopped(child, "no space left")
    lab.note(f"{name}, after {child.done()} blocks")
    lab.grow(disk, 20 * SIZE)
    lab.resume(command=command)
    check_same(lab.out, whole)


TRAIN = (
    "train", "{data}", "-o", "{out}", "--width", "2", "--patch", "16", "--batch", "1",
    "--threads", "1", "--workers", "0", "--no-tensorboard", "--validate-every", "4",
    "--steps", "24",
)  # fmt: skip


@fault("training killed", ci=True)
def training(lab: Lab) -> None:
    trained(lab, killed)


@fault("training interrupted")
def training_interrupted(lab: Lab) -> None:
    def interrupted(lab: Lab, child: Child) -> None:
        number = lab.dice.choice([signal.SIGINT, signal.SIGTERM])
        child.process.send_signal(number)
        code = child.wait(60)
        lab.note(f"{number.name}, exit code {code}")
        assert code in (0, 130), f"exit code {code}: {child.said}"
        no_traceback(child)

    trained(lab, interrupted)


def trained(lab: Lab, harm: Harm) -> None:
    """Harm a training, give it again, and compare its weights."""
    data = lab.brain.folder / "annotated"

    def words(out: Path) -> list[str]:
        return [word.format(data=data, out=out) for word in TRAIN]

    whole = lab.brain.folder / "training"
    with lab.brain.lock:
        if not whole.exists():
            _annotated(data)
            part = whole.with_name("training.part")
            code, said = finished(lab.folder, *words(part), "-q")
            assert code == 0, said
            part.rename(whole)
    out = lab.folder / "training"
    child = start(lab.folder, *words(out))
    lab.children.append(child)
    child.sleep(lab.dice.uniform(1.0, 12.0))
    harm(lab, child)
    code, said = finished(lab.folder, *words(out), "-q")
    assert code == 0, said
    assert _weights(out) == _weights(whole), "the weights are others"


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
        (folder / kind).mkdir(parents=True)
    for name in ("a", "b"):
        image = rng.normal(200, 10, (24, 24, 24))
        mask = np.zeros(image.shape, np.uint8)
        z, y = rng.integers(4, 20, 2)
        image[z, y], mask[z, y] = 400, 1
        tifffile.imwrite(folder / "image" / f"{name}.tif", image.astype(np.uint16))
        tifffile.imwrite(folder / "label" / f"{name}.tif", mask)


TINY_SHAPE = (160, 160, 200)
TINY = (
    "run", "{source}", "{out}", "--backend", "fake", "--block", "8", "--window", "8",
    "--threads", "1", "--voxel-size", "1,1,1", "--no-metrics",
)  # fmt: skip


@fault("ten thousand tiny blocks, killed", seldom=True)
def tiny_blocks(lab: Lab) -> None:
    source = lab.brain.folder / "tiny.zarr"
    with lab.brain.lock:
        if not source.exists():
            part = source.with_name("tiny-part.zarr")
            make_brain(part, TINY_SHAPE, 40)
            part.rename(source)
    command = tuple(str(source) if word == "{source}" else word for word in TINY)
    child = lab.start(*OWN, command=command, trouble={})
    most = lab.dice.randrange(10_000)
    child.until(lambda c: c.done() >= most, 900)
    lab.note(f"after {child.done()} blocks")
    child.kill()
    lab.resume(*OWN, command=command, seconds=900)
    whole = lab.brain.undisturbed("tiny-run", *command, *OWN, "-q", seconds=900)
    check_same(lab.out, whole)
    check_ledger(lab.out, lab.ledger, whole / ".blockseg" / "ledger.sqlite")
