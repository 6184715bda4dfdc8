"""Coarse levels that do not show what level 0 does, under ``--sparse``."""

import json
import shutil

import numpy as np
import pytest
import zarr

from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.inference import skip_calibration
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter

SHAPE = (256, 256, 256)
AXONS = ((20, 20), (30, 100), (90, 200), (150, 140), (225, 80))
TISSUE = 128  # voxels along x


@pytest.fixture(scope="module")
def honest(tmp_path_factory, save_bright_network):
    """Tissue with three axons beside dark glass, and a network that finds what is bright."""
    folder = tmp_path_factory.mktemp("levels")
    image = np.random.default_rng(0).normal(200, 10, SHAPE)
    image[:, :, TISSUE:] -= 150
    for z, y in AXONS:
        image[z : z + 4, y : y + 6, :TISSUE] += 300
    spec = PyramidSpec(
        uri=str(folder / "brain.zarr"),
        shape=SHAPE,
        block=SHAPE,
        dtype="uint16",
        space=Space((1, 1, 1), "micrometer"),
        reduce="mean",
    )
    create_output(spec)
    for block in BlockGrid(SHAPE, spec.block):
        PyramidWriter(spec).write_block(block.write_roi, image.clip(0).astype("u2"))
    for level, grid in spec.second_pass_grids():
        for block in grid:
            PyramidWriter(spec).write_level_block(level, block.index)
    save_bright_network(folder / "local.safetensors", 8)
    return folder


@pytest.fixture
def run(blockseg, honest):
    """Run a store sparsely; return the foreground, what was decided, and what was said."""

    def start(store):
        done = blockseg(
            "run", store, "out.zarr", "--sparse", "--weights",
            honest / "local.safetensors", "--normalization", "200,10",
            "--scheduler", "serial", "--threads", "1", "--no-metrics",
        )  # fmt: skip
        out = blockseg.folder / "out.zarr"
        record = json.loads((out / ".blockseg/run.json").read_text())
        return (
            np.asarray(zarr.open_array(out / "0")[:]) >= 128,
            record["decisions"]["sparse"],
            done.output,
        )

    return start


def bright(store):
    return np.asarray(zarr.open_array(store / "brain.zarr/0")[:]) >= 200 + 8 * 10


def test_where_a_level_is_zero_and_level_0_is_not_nothing_is_lost(
    blockseg, honest, run
):
    store = shutil.copytree(honest / "brain.zarr", blockseg.folder / "lying.zarr")
    level = zarr.open_array(store / "1", mode="r+")
    level[level.shape[0] // 2 :] = 0
    found, sparse, said = run(store)
    assert sparse["level"] is None
    assert "does not tell tissue from what is outside" in sparse["untrusted"]
    assert said.count(sparse["untrusted"]) == 2, (
        "before the first block, and at the end"
    )
    wanted = bright(honest)
    lost_voxels = np.count_nonzero(wanted & ~found)
    assert lost_voxels <= 0.001 * np.count_nonzero(wanted)
    assert sparse["lost_at_most"] <= 0.001


def test_a_level_that_shows_what_level_0_does_keeps_the_gate(honest, run, monkeypatch):
    # As if cubes were large: of such small ones each piece is a thousandth.
    monkeypatch.setattr(skip_calibration, "_UNSEEN", 1)
    found, sparse, said = run(honest / "brain.zarr")
    assert sparse["level"] is not None
    assert not sparse["untrusted"]
    assert sparse["outside"] == 1 / 4
    assert f"{sparse['compared']} cubes there were compared with level 0" in said
    wanted = bright(honest)
    assert np.count_nonzero(wanted & ~found) <= 0.001 * np.count_nonzero(wanted)
