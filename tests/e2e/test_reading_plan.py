"""What plan says of reading comes true, and the order of blocks changes no byte."""

import json

import numpy as np
import pytest
import zarr

from blockseg.blockwise.planning.reading import Reading
from blockseg.core.traversal import TraversalOrder

SERIAL = ("--scheduler", "serial", "--backend", "fake", "--block", "32", "--no-metrics")
SIZE = ("--voxel-size", "1,1,1")


@pytest.fixture
def small(blockseg):
    voxels = np.random.default_rng(1).integers(90, 200, (64, 96, 64)).astype("u2")
    store = blockseg.folder / "small.zarr"
    zarr.create_array(store, shape=voxels.shape, dtype="u2", chunks=(32,) * 3)[:] = (
        voxels
    )
    return store


def test_plan_foretells_the_bytes_that_are_decoded(blockseg, small):
    words = (small, "out.zarr", *SERIAL, *SIZE, "--workers", "1")
    planned = json.loads(blockseg("plan", *words, "--json").stdout)
    assert "each worker keeps" in blockseg("plan", *words).stdout
    blockseg("run", *words, "-q")
    totals = json.loads(blockseg("status", "out.zarr", "--json").stdout)["totals"]
    assert totals["decoded_bytes"] == planned["bytes_decoded"]
    assert totals["decoded_bytes"] == planned["decoded_over_region"] * 64 * 96 * 64 * 2
    assert totals["decoded_bytes"] < totals["read_bytes"]
    run = json.loads((blockseg.folder / "out.zarr/.blockseg/run.json").read_text())
    assert run["sessions"][-1]["totals"]["decoded_bytes"] == totals["decoded_bytes"]


def test_the_order_of_blocks_and_what_is_kept_change_no_byte(
    blockseg, small, content_of, monkeypatch
):
    blockseg("run", small, "a.zarr", *SERIAL, *SIZE, "-q")

    def otherwise(grid, *_, **__):
        traversal = TraversalOrder(grid.counts, 2, (1, 2, 1))
        return Reading(traversal, 0, 1.0, 0.0, 1.0)

    monkeypatch.setattr("blockseg.blockwise.planning.resources.plan_reading", otherwise)
    blockseg("run", small, "b.zarr", *SERIAL, *SIZE, "-q")
    a, b = (content_of(blockseg.folder / name) for name in ("a.zarr", "b.zarr"))
    assert a == b
    assert len(a) > 24
