"""Other jobs than a run, and a run of very many blocks, killed and resumed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from safetensors.numpy import load_file

from tests.faults.check import check_ledger, check_same
from tests.faults.child import start
from tests.faults.lab import OWN, RUN, SERIAL, finished, make_brain
from tests.faults.table import fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.lab import Lab

METRICS = (
    "metrics", "{source}", "{out}", "--block", "32", "--voxel-size", "1,1,1",
)  # fmt: skip
CONVERT = (
    "convert", "{source}", "{out}", "--block", "32", "--voxel-size", "1,1,1",
)  # fmt: skip
SYNTH = ("synth", "{out}", "--shape", "64,96,128", "--preset", "clean", "--block", "32")


def killed_and_resumed(lab: Lab, name: str, command: tuple[str, ...]) -> None:
    child = lab.start(*OWN, command=command)
    child.until_done(lab.dice.randrange(20))
    child.sleep(lab.dice.uniform(0, 0.2))
    child.kill()
    lab.resume(command=command)
    lab.check(name, *command, *SERIAL, "-q")


@fault("metrics killed", ci=True)
def metrics(lab: Lab) -> None:
    killed_and_resumed(lab, "metrics", METRICS)


@fault("convert killed")
def convert(lab: Lab) -> None:
    killed_and_resumed(lab, "convert", CONVERT)


@fault("synth killed")
def synth(lab: Lab) -> None:
    killed_and_resumed(lab, "synth", SYNTH)


def derived(lab: Lab, name: str, *commands: tuple[str, ...]) -> None:
    """Kill the last of some commands on a finished run, and give it again."""
    whole = lab.brain.folder / f"{name}.zarr"
    before = lab.brain.folder / f"{name}-before.zarr"
    with lab.brain.lock:
        if not whole.exists():
            shutil.copytree(lab.brain.undisturbed("run", *_run()), before)
            for command in commands[:-1]:
                _finish(lab, command, before)
            part = before.with_name(f"{name}-part.zarr")
            shutil.copytree(before, part)
            _finish(lab, commands[-1], part)
            part.rename(whole)
    shutil.copytree(before, lab.out)
    child = lab.start("--workers", "1", command=commands[-1], trouble={})
    child.until_done(lab.dice.randrange(12))
    child.sleep(lab.dice.uniform(0, 0.2))
    child.kill()
    lab.resume(command=commands[-1])
    check_same(lab.out, whole)
    lab.brain.check_source()


def _run() -> tuple[str, ...]:
    return (*RUN, *SERIAL, "-q")


def _finish(lab: Lab, command: tuple[str, ...], out: Path) -> None:
    words = [str(word).format(source=lab.brain.source, out=out) for word in command]
    code, said = finished(lab.folder, *words, *SERIAL, "-q")
    assert code == 0, said


LABEL = ("label", "{out}")
SKELETONIZE = ("skeletonize", "{out}")


@fault("label killed", ci=True)
def label(lab: Lab) -> None:
    derived(lab, "label", LABEL)


@fault("skeletonize killed", ci=True)
def skeletonize(lab: Lab) -> None:
    derived(lab, "skeletonize", LABEL, SKELETONIZE)


TRAIN = (
    "train", "{data}", "-o", "{out}", "--width", "2", "--patch", "16", "--batch", "1",
    "--threads", "1", "--workers", "0", "--no-tensorboard", "--validate-every", "4",
    "--steps", "24",
)  # fmt: skip


@fault("training killed", ci=True)
def training(lab: Lab) -> None:
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
    child.kill()
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
