"""Volumes as Zarr: another library reads the voxels that are there."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image import Image

from blockseg.core.space import Space
from blockseg.io.downsampled import cell_means
from blockseg.io.find import find
from blockseg.io.protocol import MemoryVolume
from blockseg.viewing.served_volume import ServedLevel, ServedVolume, served_source

SPACE = Space((2.0, 0.5, 0.25), "micrometer", (10.0, -3.0, 0.0))


def wanted():
    return True


def written(served, folder):
    """Write all that a browser could ask for, as a store on disk."""
    keys = ["zarr.json"]
    for number, level in enumerate(served.levels):
        counts = [-(-n // 64) for n in level.volume.shape]
        keys += [f"{number}/zarr.json"]
        keys += [f"{number}/c/{z}/{y}/{x}" for z, y, x in np.ndindex(*counts)]
    for key in keys:
        content = served.open(key, wanted)
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read(0, content.size))
    return zarr.open_group(folder, mode="r")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "uint64"])
def test_zarr_reads_the_voxels_of_any_volume(tmp_path, dtype):
    voxels = np.random.default_rng(1).integers(0, 100, (70, 65, 130)).astype(dtype)
    served = ServedVolume((ServedLevel(MemoryVolume(voxels), (1, 1, 1)),), SPACE)
    group = written(served, tmp_path / "store")
    np.testing.assert_array_equal(group["0"][:], voxels)


def test_levels_are_means_and_lie_where_they_belong(tmp_path):
    voxels = np.random.default_rng(2).integers(0, 9000, (40, 300, 520), np.uint16)
    store = zarr.create_array(
        tmp_path / "a.zarr", shape=voxels.shape, dtype="u2", chunks=(40, 100, 130)
    )
    store[:] = voxels
    served = served_source(find(str(tmp_path / "a.zarr")), SPACE)
    group = written(served, tmp_path / "store")
    assert len(served.levels) == 2
    np.testing.assert_array_equal(group["0"][:], voxels)
    np.testing.assert_array_equal(group["1"][:], cell_means(voxels, (2, 2, 2)))
    image = Image.from_zarr(group)
    coarse = image.ome_attributes.multiscales[0].datasets[1]
    placed: Any = coarse.coordinateTransformations
    scale, translation = placed
    assert scale.scale == [4.0, 1.0, 0.5]
    assert translation.translation == [11.0, -2.75, 0.125]


@pytest.mark.parametrize(
    "key",
    ["", "1/zarr.json", "-1/zarr.json", "0", "0/c/0/0", "0/c/0/0/9", "0/c/a/0/0",
     "0/c/0/0/0/0", "0/x/0/0/0", "zarr.json/", "²/zarr.json", "0/c/²/0/0"],
)  # fmt: skip
def test_there_is_nothing_else(key):
    level = ServedLevel(MemoryVolume(np.ones((4, 4, 4), np.uint8)), (1, 1, 1))
    assert ServedVolume((level,), SPACE).open(key, wanted) is None


def test_nobody_computes_what_nobody_waits_for():
    @dataclasses.dataclass(frozen=True)
    class Unread(MemoryVolume):
        def read(self, roi):  # noqa: ARG002
            raise AssertionError

    level = ServedLevel(Unread(np.ones((4, 4, 4), np.uint8)), (1, 1, 1))
    assert ServedVolume((level,), SPACE).open("0/c/0/0/0", lambda: False) is None
