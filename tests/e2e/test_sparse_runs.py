"""``--sparse`` through the command line, with a network whose answer is known."""

import json

import numpy as np
import pytest
import zarr

from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.networks.scout import default_scout
from blockseg.networks.weights_info import sha256

SHAPE = (256, 256, 256)


@pytest.fixture(scope="module")
def store(tmp_path_factory, save_bright_network):
    """Noise with three thick rods, and a network that calls bright foreground."""
    folder = tmp_path_factory.mktemp("sparse")
    image = np.random.default_rng(0).normal(200, 10, SHAPE)
    for z, y in ((20, 20), (90, 200), (220, 80)):
        image[z : z + 4, y : y + 6] += 300
    spec = PyramidSpec(
        uri=str(folder / "brain.zarr"),
        shape=SHAPE,
        block=(256, 256, 256),
        dtype="uint16",
        space=Space((1, 1, 1), "micrometer"),
        reduce="mean",
    )
    create_output(spec)
    for block in BlockGrid(SHAPE, spec.block):
        PyramidWriter(spec).write_block(block.write_roi, image.astype("u2"))
    for level, grid in spec.second_pass_grids():
        for block in grid:
            PyramidWriter(spec).write_level_block(level, block.index)
    save_bright_network(folder / "local.safetensors", 8)
    return folder


def voxels(image):
    return np.asarray(zarr.open_array(image / "0")[:])


def run(blockseg, store, out, *more):
    words = [store / "brain.zarr", *([out] if out else [])]
    return blockseg(
        more[0] if more and more[0] == "plan" else "run", *words,
        "--weights", store / "local.safetensors", "--normalization", "200,10",
        "--scheduler", "serial", "--threads", "1", "--no-metrics",
        *(word for word in more if word != "plan"),
    )  # fmt: skip


def test_a_sparse_run_says_what_it_skipped_and_loses_next_to_nothing(
    blockseg, store, content_of
):
    done = run(blockseg, store, "sparse.zarr", "--sparse", "--block", "128")
    assert done.output.index("what --sparse may skip") < done.output.index("blocks of")
    assert "of the voxels were in tiles taken for empty" in done.output
    assert "of the foreground is lost, at most 0." in done.output
    found = voxels(blockseg.folder / "sparse.zarr") >= 128
    bright = voxels(store / "brain.zarr") >= 200 + 8 * 10
    cubes = found.reshape(4, 64, 4, 64, 4, 64).any(axis=(1, 3, 5))
    kept = cubes.repeat(64, 0).repeat(64, 1).repeat(64, 2)
    assert np.array_equal(found[kept], bright[kept])
    assert np.count_nonzero(bright & ~found) <= 0.001 * np.count_nonzero(bright)
    assert 12 <= cubes.sum() < 24

    record = json.loads(
        (blockseg.folder / "sparse.zarr/.blockseg/run.json").read_text()
    )
    sparse = record["sessions"][-1]["sparse"]
    tiles = found.reshape(16, 16, 16, 16, 16, 16).any(axis=(1, 3, 5))
    left = found.size - sparse["skipped_voxels"]
    assert left % 16**3 == 0
    assert tiles.sum() * 16**3 <= left < cubes.sum() * 64**3 / 2, "tiles, not cubes"
    assert left <= sparse["inferred_voxels"] < found.size / 4
    status = blockseg("status", "sparse.zarr")
    assert "of the foreground is lost" in status.output

    before = content_of(blockseg.folder / "sparse.zarr")
    files = (blockseg.folder / "sparse.zarr" / "0" / "c").rglob("*")
    next(path for path in files if path.is_file()).unlink()
    run(blockseg, store, "sparse.zarr", "--sparse", "--block", "128")
    assert content_of(blockseg.folder / "sparse.zarr") == before
    refused = blockseg(
        "run", store / "brain.zarr", "sparse.zarr", "--block", "128",
        "--weights", store / "local.safetensors", "--normalization", "200,10",
        "--scheduler", "serial", "--threads", "1", "--no-metrics", code=1,
    )  # fmt: skip
    assert "--sparse" in refused.output


def test_plan_says_what_would_be_skipped(blockseg, store):
    planned = json.loads(
        run(blockseg, store, "sparse.zarr", "plan", "--sparse", "--json").output
    )
    assert planned["sparse"]["bound"] is not None
    assert planned["computed_over_written"] < 0.5
    z, y, x = planned["window"]
    assert x == 128 > 2 * max(z, y), "the rods run along x"
    assert planned["sparse"]["scout"]["sha256"] == sha256(default_scout())
    assert not (blockseg.folder / "sparse.zarr").exists()


def test_where_too_little_is_known_everything_is_inferred_and_the_run_says_so(
    blockseg,
):
    done = blockseg(
        "run", "constant://64,64,128/uint16/7", "out.zarr", "--sparse",
        "--backend", "fake", "--scheduler", "serial", "--no-metrics",
    )  # fmt: skip
    assert "--sparse: nothing varies in the sample of the volume" in done.output
