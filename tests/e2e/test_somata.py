"""Cell bodies in the image of a run, through the command."""

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from pyarrow import parquet
from scipy.ndimage import gaussian_filter

from blockseg.core.space import Space
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter

RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")
SOMATA = ("--scheduler", "serial", "--somata", "--soma-radius", "4,8")
SIZE = (2.0, 1.0, 1.0)
CORNER = (1000.0, 2000.0, 3000.0)
BODIES = ((20, 40, 50, 5.0, 60), (40, 90, 30, 6.0, 90), (50, 64, 100, 4.5, 200))
"""z, y, x in voxels, radius in µm, grey levels above the background."""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A brain with three cell bodies, and lines that are brighter than they."""
    shape = (64, 128, 128)
    spec = PyramidSpec(
        uri=str(tmp_path_factory.mktemp("image") / "brain.zarr"),
        shape=shape,
        block=(64, 64, 64),
        dtype="uint16",
        space=Space(SIZE, "micrometer", CORNER),
        reduce="mean",
    )
    light = np.zeros(shape)
    for *centre, radius, bright in BODIES:
        away = sum(
            ((g - c) * s) ** 2
            for g, c, s in zip(
                np.ogrid[tuple(map(slice, shape))], centre, SIZE, strict=True
            )
        )
        light[away <= radius**2] = bright
    light[30, 20, :] = light[:, 70, 70] = light[20, :, 60] = 600
    grey = 200 + gaussian_filter(light, 0.7)
    grey += np.random.default_rng(5).normal(0, 10, shape)
    create_output(spec)
    writer = PyramidWriter(spec)
    for one in spec.grid:
        part = grey[one.write_roi.slices()]
        writer.write_block(one.write_roi, part.round().astype(np.uint16))
    return spec.uri


@pytest.fixture(scope="module")
def finished(shared_blockseg, image):
    """A labelled run that no test changes."""
    given = ("--threshold", "0.8", "--normalization", "200,10")
    shared_blockseg("run", image, "out.zarr", *RUN, *given)
    shared_blockseg("label", "out.zarr", *SOMATA[:2], "-q")
    return shared_blockseg.folder / "out.zarr"


@pytest.fixture
def out(blockseg, finished):
    shutil.copytree(finished, blockseg.folder / "out.zarr")
    return blockseg.folder / "out.zarr"


def rows(out):
    with (out / "tables/somata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def place(row):
    return [float(row[f"{axis}_um"]) for axis in "zyx"]


def test_somata_are_listed_where_they_are_and_neurites_are_not(blockseg, out):
    said = blockseg("label", "out.zarr", *SOMATA)
    assert "Found 3 somata" in said.stdout
    table = rows(out)
    assert len(table) == len(BODIES)
    for row, (*centre, radius, bright) in zip(table, BODIES, strict=True):
        expected = np.array(centre) * SIZE + CORNER
        assert np.abs(np.subtract(place(row), expected)).max() < 1.5
        assert float(row["radius_um"]) == pytest.approx(radius, rel=0.25)
        assert float(row["contrast"]) == pytest.approx(bright, rel=0.25)
        assert float(row["brightness"]) == pytest.approx(200 + bright, rel=0.1)
        assert float(row["snr"]) == pytest.approx(float(row["contrast"]) / 10, rel=0.01)
    read = parquet.read_table(out / "tables/somata.parquet")
    assert read.column_names == list(table[0])
    for name in ("z_um", "radius_um", "object"):
        in_csv = [float(row[name]) for row in table]
        assert read[name].to_pylist() == pytest.approx(in_csv, rel=1e-6)
    meaning = json.loads((out / "tables/somata.json").read_text())
    assert list(meaning["columns"]) == list(table[0])
    assert meaning["made-from"]["parameters"]["soma-radius"] == "4,8"


def test_points_for_viewers_are_those_of_the_table(blockseg, out):
    blockseg("label", "out.zarr", *SOMATA, "-q")
    table = rows(out)
    with (out / "tables/somata-points.csv").open(encoding="utf-8", newline="") as file:
        points = list(csv.DictReader(file))
    for row, point in zip(table, points, strict=True):
        assert [float(point[f"axis-{axis}"]) for axis in range(3)] == place(row)
    layer = out / "tables/somata-neuroglancer"
    info = json.loads((layer / "info").read_text())
    size = 4 * (6 + len(info["properties"]))
    packed = (layer / "spatial0/0_0_0").read_bytes()
    assert struct.unpack("<Q", packed[:8]) == (len(table),)
    for number, row in enumerate(table):
        one = packed[8 + number * size : 8 + (number + 1) * size]
        assert (layer / "by_id" / str(number + 1)).read_bytes() == one
        x, y, z, *radii = struct.unpack("<6f", one[:24])
        assert [z, y, x] == pytest.approx(place(row), rel=1e-6)
        assert radii == pytest.approx([float(row["radius_um"])] * 3, rel=1e-5)
        low, high = info["lower_bound"], info["upper_bound"]
        assert all(a <= p <= b for a, p, b in zip(low, (x, y, z), high, strict=True))
    ids = np.frombuffer(packed[8 + len(table) * size :], "<u8")
    assert ids.tolist() == list(range(1, len(table) + 1))


def test_after_a_kill_somata_of_many_blocks_are_those_of_one_block(
    blockseg, out, content_of, events_of
):
    shutil.copytree(out, blockseg.folder / "one.zarr")
    blockseg("label", "one.zarr", *SOMATA, "-q")
    small = (
        "from blockseg.labelling.somata import grid; grid._EDGE = 12;"
        "from blockseg_cli.main import main; main()"
    )
    words = ("label", "out.zarr", *SOMATA, "--json")
    first = subprocess.Popen(
        [sys.executable, "-c", small, *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=blockseg.folder,
    )
    assert first.stdout is not None
    done = 0
    for event in events_of(first.stdout):
        done += event["event"] == "BlockDone" and event["phase"] == "somata"
        if done == 9:
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert done == 9
    assert "somata of" in blockseg("status", "out.zarr").stdout
    blockseg("label", "out.zarr", *SOMATA, "-q")  # goes on with the same blocks
    assert content_of(out) == content_of(blockseg.folder / "one.zarr")


def test_other_somata_are_refused_and_found_under_overwrite(blockseg, out):
    blockseg("label", "out.zarr", *SOMATA, "-q")
    other = (*SOMATA[:3], "--soma-radius", "4,12")
    refused = blockseg("label", "out.zarr", *other, code=1)
    assert "--soma-radius was 4,8, now 4,12" in refused.stderr
    (out / "tables/somata.csv").unlink()
    blockseg("label", "out.zarr", *SOMATA, "-q")
    assert len(rows(out)) == len(BODIES)
    blockseg("label", "out.zarr", *other, "--overwrite", "-q")
    meaning = json.loads((out / "tables/somata.json").read_text())
    assert meaning["made-from"]["parameters"]["soma-radius"] == "4,12"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--soma-radius", "4"), "expected LOW,HIGH"),
        (("--soma-radius", "8,4"), "LOW lies above HIGH"),
        (("--soma-radius", "1,4"), "larger than the least radius"),
        (("--no-image",), "--somata looks at the image"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(blockseg, out, option, said):
    refused = blockseg("label", "out.zarr", "--somata", *option, code=1)
    assert said in refused.stderr
    assert not (out / ".blockseg/somata").exists()


def test_somata_without_labels_are_refused_by_run(blockseg, image):
    assert "--label" in blockseg("run", image, "x.zarr", "--somata", code=1).stderr


def test_a_damaged_list_is_found_and_made_again(blockseg, out, content_of):
    blockseg("label", out, *SOMATA, "-q")
    before = content_of(out / "tables")
    (out / "tables/somata.csv").write_text("soma\n")
    (out / "tables/somata-points.csv").unlink()
    said = blockseg("verify", out, code=3).stdout
    assert "tables/somata.csv has" in said
    assert "tables/somata-points.csv is gone" in said
    said = blockseg("verify", out, "--repair").stdout
    assert "resumed: somata" in said
    assert content_of(out / "tables") == before


def test_a_list_of_other_labels_is_stale_and_made_anew(blockseg, out):
    blockseg("label", out, *SOMATA, "-q")
    given = ("--connectivity", "6", "--overwrite", "-q")
    blockseg("label", out, "--scheduler", "serial", *given)
    assert "somata: it was made from other labels" in blockseg(
        "verify", out, code=3
    ).stdout.replace("\n", " ")
    said = blockseg("verify", out, "--repair").stdout
    assert "remade: somata" in said
    assert rows(out)
