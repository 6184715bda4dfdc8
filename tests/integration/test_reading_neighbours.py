"""Chunks are decoded once for neighbouring reads, and what is decoded is counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.decoded_cache import counting
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.protocol import ConstantVolume, MemoryVolume, Volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (20, 33, 40)
CHUNKS = (8, 16, 16)
CHUNK_BYTES = 8 * 16 * 16 * 2
GRID = BlockGrid(SHAPE, (8, 16, 16), (4, 4, 4))


def brain() -> np.ndarray:
    return np.random.default_rng(5).integers(1, 9999, SHAPE).astype("u2")


def chunked(folder: Path, cache_bytes: int) -> Volume:
    array = zarr.create_array(folder / "a", shape=SHAPE, dtype="u2", chunks=CHUNKS)
    array[:] = brain()
    return open_volume(find(folder / "a"), ReadLimits(cache_bytes=cache_bytes))


def whole_chunks(roi: Roi) -> int:
    inside = roi.aligned(1)
    sizes = []
    for a, b, c, n in zip(inside.start, inside.stop, CHUNKS, SHAPE, strict=True):
        sizes.append(min(-(-b // c) * c, n) - a // c * c)
    return 2 * int(np.prod(sizes))


@pytest.mark.parametrize("cache_bytes", [0, CHUNK_BYTES, 5 * CHUNK_BYTES, 2**20])
def test_blocks_with_their_halos_are_read_right_whatever_is_kept(
    cache_bytes: int, tmp_path: Path
) -> None:
    volume = chunked(tmp_path, cache_bytes)
    with ThreadPoolExecutor(3) as pool:
        blocks = [block.read_roi for block in GRID]
        for roi, part in zip(blocks, pool.map(volume.read, blocks), strict=True):
            np.testing.assert_array_equal(part, brain()[roi.slices()])


def test_with_room_for_all_each_chunk_is_decoded_once(tmp_path: Path) -> None:
    volume = chunked(tmp_path, 2**20)
    with counting() as count:
        for block in GRID:
            volume.read(block.read_roi)
    assert count.total == brain().nbytes


def test_with_no_room_every_block_decodes_all_its_chunks(tmp_path: Path) -> None:
    volume = chunked(tmp_path, 0)
    for block in GRID:
        with counting() as count:
            volume.read(block.read_roi)
        assert count.total == whole_chunks(block.read_roi)


def test_several_threads_share_what_one_of_them_decodes(tmp_path: Path) -> None:
    volume = chunked(tmp_path, 2**20)

    def read(block: int) -> int:
        with counting() as count:
            volume.read(GRID.numbered(block).read_roi)
        return count.total

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(read, range(len(GRID)))) == brain().nbytes


def test_a_tiff_in_tiles_counts_tiles_and_a_mapped_one_what_is_asked(
    tmp_path: Path,
) -> None:
    roi = Roi((0, 0, 0), (1, 5, 5))
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(
        tmp_path / "t.tif", brain(), tile=(16, 32), compression="zlib", **options
    )
    tifffile.imwrite(tmp_path / "m.tif", brain(), contiguous=True, **options)
    for name, expected in (("t.tif", 16 * 32 * 2), ("m.tif", 50)):
        volume = open_volume(find(tmp_path / name))
        with counting() as count:
            np.testing.assert_array_equal(volume.read(roi), brain()[roi.slices()])
        assert count.total == expected


def test_what_is_stored_nowhere_counts_as_what_is_asked() -> None:
    roi = Roi((0, 0, 0), (1, 2, 3))
    for volume in (
        MemoryVolume(brain()),
        ConstantVolume(SHAPE, np.dtype("u2"), 3),
    ):
        with counting() as count:
            volume.read(roi)
        assert count.total == 12
