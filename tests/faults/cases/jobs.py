"""Other jobs than a run, and a run of very many blocks, harmed and resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.check import check_ledger, check_same
from tests.faults.commands import JOBS, disk_full, disturbed, killed
from tests.faults.lab import OWN, make_brain
from tests.faults.table import fault

if TYPE_CHECKING:
    from tests.faults.lab import Lab


@fault("metrics killed")
def metrics(lab: Lab) -> None:
    killed(lab, JOBS["metrics"])


@fault("convert killed")
def convert(lab: Lab) -> None:
    killed(lab, JOBS["convert"])


@fault("synth killed")
def synth(lab: Lab) -> None:
    killed(lab, JOBS["synth"])


@fault("metrics, convert or synth interrupted, or a worker killed")
def others_disturbed(lab: Lab) -> None:
    name = lab.dice.choice(["metrics", "convert", "synth"])
    lab.note(name)
    disturbed(lab, JOBS[name])


@fault("label killed", ci=True)
def label(lab: Lab) -> None:
    killed(lab, JOBS["label"])


@fault("skeletonize killed")
def skeletonize(lab: Lab) -> None:
    killed(lab, JOBS["skeletonize"])


@fault("label or skeletonize interrupted, or its worker killed")
def derived_disturbed(lab: Lab) -> None:
    name = lab.dice.choice(["label", "skeletonize"])
    lab.note(name)
    disturbed(lab, JOBS[name])


@fault("disk full under label or skeletonize", needs="mount")
def derived_disk_full(lab: Lab) -> None:
    name = lab.dice.choice(["label", "skeletonize"])
    lab.note(name)
    disk_full(lab, JOBS[name])


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
