"""Other jobs than a run, and a run of very many blocks, harmed and resumed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import tifffile
from safetensors.numpy import load_file

from tests.faults.check import check_ledger, check_same
from tests.faults.child import start
from tests.faults.commands import JOBS, disk_full, disturbed, killed
from tests.faults.lab import OWN, finished, make_brain, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.child import Child
    from tests.faults.lab import Lab


@fault("metrics killed", ci=True)
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


@fault("skeletonize killed", ci=True)
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


TRAIN = (
    "train", "{data}", "-o", "{out}", "--width", "2", "--patch", "16", "--batch", "1",
    "--threads", "1", "--workers", "0", "--no-tensorboard", "--validate-every", "4",
    "--steps", "24",
)  # fmt: skip


@fault("training killed", ci=True)
def training(lab: Lab) -> None:
    trained(lab, lambda _, child: child.kill())


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


Harm: TypeAlias = "Callable[[Lab, Child], None]"


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
