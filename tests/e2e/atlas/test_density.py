"""``blockseg density`` end to end, and its map for any blocks."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.atlas.lengths import by_voxel
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.morphology.path_pieces import LENGTH_UNIT
from blockseg.morphology.swc import read_swc
from blockseg.regions.density_tasks import (
    DensityMap,
    GroupIndex,
    MapIndex,
    VoxelLengths,
)
from blockseg.regions.traces import TraceFiles

pytestmark = pytest.mark.usefixtures("out")

SERIAL = ("--scheduler", "serial", "-q")


def meter(_):
    return contextlib.nullcontext()


def map_at(place):
    volume = open_volume(find(str(place)))
    return volume.read(Roi.whole(volume.shape))


def map_of(out):
    place = out / "density"
    return map_at(place), open_volume(find(str(place))).space


@pytest.fixture
def command(walks):
    return ("density", "out.zarr", "--traces", walks[0], "--voxel-size", "4,5,6")


def test_the_map_holds_the_length_of_all_traces_where_they_are(
    blockseg, out, walks, box, command
):
    blockseg(*command, *SERIAL)
    data, space = map_of(out)
    assert space.voxel_size == (4, 5, 6)
    assert space.unit == "micrometer"
    assert np.array(space.translation) == pytest.approx(
        box[0] + np.array((4, 5, 6)) / 2
    )
    assert data.shape == tuple(np.ceil((box[1] - box[0]) / (4, 5, 6) - 1e-6))
    length = data.astype(float).sum() * 4 * 5 * 6 / 1e9
    assert length == pytest.approx(walks[1], rel=1e-6)
    # A voxel of the map, by the pieces of each trace.
    wanted = np.zeros(data.shape)
    for path in sorted(walks[0].iterdir()):
        found = by_voxel(read_swc(path), data.shape, space)
        wanted.ravel()[found.key] += found.units * LENGTH_UNIT
    assert data == pytest.approx(wanted * 1e9 / 120, rel=1e-6)


def test_the_map_says_what_it_is(blockseg, out, command):
    blockseg(*command, *SERIAL)
    attributes = json.loads((out / "density/zarr.json").read_text())["attributes"]
    assert attributes["blockseg"]["parameters"]["unit"] == "µm of axon per mm³"
    assert attributes["blockseg"]["parameters"]["space"] == "source"
    (scale,) = attributes["ome"]["multiscales"]
    assert [axis["unit"] for axis in scale["axes"]] == ["micrometer"] * 3


def test_other_voxels_hold_the_same_length(blockseg, out, walks, command):
    for size in ("25", "1.7", "100"):
        words = ("--voxel-size", size, "--overwrite")
        said = blockseg(*command[:-2], *words, "--scheduler", "serial").stdout
        data, space = map_of(out)
        length = data.astype(float).sum() * np.prod(space.voxel_size) / 1e9
        assert length == pytest.approx(walks[1], rel=1e-6)
        assert f"{walks[1] / 1000:.6g} mm of axon" in said


@pytest.mark.parametrize("phase", ["density-lengths", "density"])
def test_killed_in_any_phase_it_goes_on_to_the_same_bytes(
    blockseg, out, command, content_of, killed, phase
):
    fine = (*command[:-1], "0.8")
    killed("blockseg.regions.density", "density", phase, *fine, *SERIAL)
    blockseg(*fine, *SERIAL)
    after = content_of(out)
    blockseg(*fine, *SERIAL, "--overwrite")
    assert content_of(out) == after


@pytest.mark.dask
def test_workers_map_what_one_process_does(blockseg, out, command, content_of):
    fine = (*command[:-1], "0.8")
    blockseg(*fine, *SERIAL)
    alone = content_of(out)
    blockseg(*fine, "-q", "--workers", "2", "--overwrite")
    assert content_of(out) == alone


def test_over_an_atlas_the_map_has_its_corner(
    blockseg, out, walks, atlas, command, brainreg
):
    blockseg(*command, *SERIAL, "--transform", brainreg, "--atlas", atlas[0])
    data, space = map_of(out)
    extent = np.array(atlas[1].shape) * atlas[2]
    assert data.shape == tuple(np.ceil(extent / (4, 5, 6) - 1e-6))
    corner = np.array(space.translation) - np.array((4, 5, 6)) / 2
    assert corner == pytest.approx(atlas[3])
    blockseg(
        "regions", "out.zarr", "--atlas", atlas[0], "--traces", walks[0],
        "--transform", brainreg, "--lengths-only", *SERIAL,
    )  # fmt: skip
    wanted = 0.0
    for path in sorted((out / "regions/traces").iterdir()):
        found = by_voxel(read_swc(path), data.shape, space)
        wanted += found.units[found.key >= 0].sum() * LENGTH_UNIT
    length = data.astype(float).sum() * 120 / 1e9
    # SWC has four decimals.
    assert length == pytest.approx(wanted, rel=1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_the_map_does_not_depend_on_its_blocks(walks, tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("blocks")
    names = tuple(sorted(path.name for path in walks[0].iterdir()))
    traces = TraceFiles(str(walks[0]), names, "")
    space = Space((6.0, 5.0, 4.0), "micrometer", (516.0, -38.0, 20.0))
    shape = (19, 11, 20)
    maps = []
    for number, block in enumerate([shape, to_zyx(rng.integers(2, 12, 3).tolist())]):
        out = folder / str(number)
        grid = BlockGrid(shape, block)
        image = PyramidSpec(str(out), shape, block, "float32", space, reduce="mean")
        create_output(image)
        task = VoxelLengths(traces, grid, space, str(out), "pieces")
        opened = task.open(0)
        index = [
            (group.number, GroupIndex.from_bytes(opened(group, meter).payload))
            for group in task.grid
        ]
        drawn = DensityMap(grid, image, MapIndex.of(index), str(out / "pieces")).open(0)
        for one in grid:
            drawn(one, meter)
        maps.append(map_at(out))
    assert maps[0].any()
    assert np.array_equal(maps[0], maps[1])
