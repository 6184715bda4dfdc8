"""Every level of every format, in blocks of any shape, as its own library reads it."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import tifffile
import zarr
from click.testing import CliRunner

from blockseg.core.errors import CorruptDataError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.find import find
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import click

z5py = pytest.importorskip("z5py", reason="a second implementation of N5")

SHAPE = (6, 70, 53)
LEVELS = 3
# What a tile or chunk of 16 is revisited by: smaller, odd, and across its edges.
BLOCKS = ((6, 70, 53), (4, 24, 24), (3, 16, 53), (1, 31, 19))
CACHES = (0, 3000, 2**20)  # bytes: nothing kept, a few pieces, all


@cache
def pyramid(dtype: str = "u2") -> tuple[np.ndarray, ...]:
    """No two pieces of it alike, at any level."""
    rng = np.random.default_rng(11)
    return tuple(
        rng.integers(1, 250, (SHAPE[0], -(-SHAPE[1] >> k), -(-SHAPE[2] >> k))).astype(
            dtype
        )
        for k in range(LEVELS)
    )


def subifds(path: Path, dtype: str = "u2", **options: Any) -> None:
    how = {"byteorder": options.pop("byteorder", None)}
    how["bigtiff"] = options.pop("bigtiff", False)
    with tifffile.TiffWriter(path, ome=True, **how) as writer:
        options = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}, **options}
        fine, *coarser = pyramid(dtype)
        writer.write(fine, subifds=len(coarser), **options)
        for level in coarser:
            writer.write(level, subfiletype=1, **options)


def pages(path: Path, **options: Any) -> None:
    how = {"byteorder": options.pop("byteorder", None)}
    how["bigtiff"] = options.pop("bigtiff", False)
    how["imagej"] = options.pop("imagej", False)
    with tifffile.TiffWriter(path, **how) as writer:
        writer.write(pyramid()[0], photometric="minisblack", **options)


def scattered(path: Path, **options: Any) -> None:
    with tifffile.TiffWriter(path) as writer:
        for plane in pyramid()[0]:
            writer.write(
                plane,
                contiguous=False,
                metadata=None,
                photometric="minisblack",
                **options,
            )


def slices(path: Path, **options: Any) -> None:
    path.mkdir()
    for z, plane in enumerate(pyramid()[0]):
        tifffile.imwrite(path / f"{z}.tif", plane, **options)


TILE: dict[str, Any] = {"tile": (16, 16)}
STRIP: dict[str, Any] = {"rowsperstrip": 7}
TIFFS: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    f"{write.__name__} {' '.join(str(v) for v in options.values())}": (write, options)
    for write, options in [
        *(
            (subifds, layout | coding)
            for layout in (TILE, STRIP)
            for coding in (
                {},
                {"compression": "zlib"},
                {"compression": "lzw", "predictor": True},
                {"compression": "zlib", "predictor": True, "byteorder": ">"},
            )
        ),
        (subifds, {**TILE, "compression": "zlib", "bigtiff": True}),
        (subifds, {**TILE, "compression": "zstd", "dtype": "u1"}),
        (subifds, {**STRIP, "compression": "zlib", "predictor": 3, "dtype": "f4"}),
        (pages, {**TILE, "compression": "zlib"}),
        (pages, {**STRIP, "compression": "lzw", "predictor": True, "byteorder": ">"}),
        (pages, {**STRIP, "bigtiff": True, "compression": "zlib"}),
        (pages, {"tile": (4, 16, 16), "compression": "zlib"}),
        (pages, {"imagej": True, "byteorder": ">"}),
        (pages, {**TILE}),
        (scattered, {**TILE, "compression": "zlib"}),
        (scattered, {**STRIP}),
        (slices, {**TILE, "compression": "zlib"}),
        (slices, {**STRIP, "compression": "zlib", "predictor": True}),
    ]
}


def check_blocks(spec: Any, expected: np.ndarray) -> None:
    """Read a volume in blocks, twice with each cache, and compare every voxel."""
    for size, block in itertools.product(CACHES, BLOCKS):
        volume = open_volume(spec, ReadLimits(cache_bytes=size))
        assert volume.shape == expected.shape
        for _ in range(2):
            found = np.full(expected.shape, 251, expected.dtype)
            pairs = zip(block, volume.shape, strict=True)
            for part in BlockGrid(volume.shape, to_zyx(min(pair) for pair in pairs)):
                found[part.write_roi.slices()] = volume.read(part.write_roi)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", TIFFS)
def test_tiff_reads_as_tifffile_reads_it(name: str, tmp_path: Path) -> None:
    write, options = TIFFS[name]
    path = tmp_path / "source.tif"
    write(path, **options)
    if write is slices:
        check_blocks(find(path), tifffile.imread(sorted(path.iterdir())))
        return
    with tifffile.TiffFile(path) as tif:
        levels = len(tif.series[0].levels)
    assert levels == (LEVELS if write is subifds else 1)
    for level in range(levels):
        expected = tifffile.imread(path, series=0, level=level)
        np.testing.assert_array_equal(expected, pyramid(expected.dtype.str)[level])
        check_blocks(find(path, level=level), expected)


def zarr_levels(path: Path, version: Literal[2, 3], **options: Any) -> None:
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 2.0**level, 2.0**level]}
            ],
        }
        for level in range(LEVELS)
    ]
    stated: dict[str, Any] = {"multiscales": [{"axes": axes, "datasets": datasets}]}
    if version == 3:
        stated = {"ome": {"version": "0.5", **stated}}
    group = zarr.create_group(path, zarr_format=version, attributes=stated)
    for level, data in enumerate(pyramid()):
        array = group.create_array(
            str(level),
            shape=data.shape,
            dtype=data.dtype,
            chunks=(4, 16, 16),
            **options,
        )
        array[:] = data


def n5_levels(path: Path, codec: str) -> None:
    with z5py.File(str(path), "a", use_zarr_format=False) as file:
        group = file.create_group("setup0")
        for level, data in enumerate(pyramid()):
            group.create_dataset(
                f"s{level}", data=data, chunks=(4, 16, 16), compression=codec
            )


def read_zarr(path: Path, level: int) -> np.ndarray:
    return np.asarray(zarr.open_group(path, mode="r")[str(level)][:])  # type: ignore[index]


def read_n5(path: Path, level: int) -> np.ndarray:
    with z5py.File(str(path), "r", use_zarr_format=False) as file:
        return np.asarray(file[f"setup0/s{level}"][:])


CHUNKED: dict[str, tuple[Callable[[Path], None], Any]] = {
    "zarr2": (lambda path: zarr_levels(path, 2), read_zarr),
    "zarr2 nested": (
        lambda path: zarr_levels(
            path, 2, chunk_key_encoding={"name": "v2", "separator": "/"}
        ),
        read_zarr,
    ),
    "zarr3": (lambda path: zarr_levels(path, 3), read_zarr),
    "zarr3 sharded": (lambda path: zarr_levels(path, 3, shards=(8, 32, 32)), read_zarr),
    "n5 gzip": (lambda path: n5_levels(path, "gzip"), read_n5),
    "n5 raw": (lambda path: n5_levels(path, "raw"), read_n5),
}


@pytest.mark.parametrize("name", CHUNKED)
def test_chunks_read_as_their_library_reads_them(name: str, tmp_path: Path) -> None:
    write, read = CHUNKED[name]
    write(tmp_path / "source")
    for level in range(LEVELS):
        expected = read(tmp_path / "source", level)
        np.testing.assert_array_equal(expected, pyramid()[level])
        check_blocks(find(tmp_path / "source", level=level), expected)


@pytest.mark.parametrize("options", [TILE, STRIP], ids=str)
def test_a_coarse_level_is_copied_right_in_blocks_that_share_tiles(
    options: dict[str, Any], tmp_path: Path, blockseg_command: click.Command
) -> None:
    subifds(tmp_path / "p.ome.tif", compression="zlib", **options)
    words = [
        "convert", tmp_path / "p.ome.tif", tmp_path / "copy.zarr", "--level", "1",
        "--block", "4,24,24", "--voxel-size", "1,1,1", "--scheduler", "serial", "-q",
    ]  # fmt: skip
    done = CliRunner().invoke(blockseg_command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_zarr(tmp_path / "copy.zarr", 0), pyramid()[1])


def test_a_corrupt_tile_of_a_coarse_level_is_named_with_the_page_of_its_plane(
    tmp_path: Path,
) -> None:
    file = tmp_path / "p.ome.tif"
    subifds(file, compression="zlib", **TILE)
    with tifffile.TiffFile(file) as tif:
        page: Any = tif.series[0].levels[1].pages[5]
        offset, count = page.dataoffsets[2], page.databytecounts[2]
    raw = bytearray(file.read_bytes())
    raw[offset : offset + count] = b"\xa5" * count
    file.write_bytes(raw)
    volume = open_volume(find(file, level=1))
    with pytest.raises(
        CorruptDataError, match=r"chunk \(5, 1, 0\) \(tile 2 of page 5\)"
    ):
        volume.read(Roi.whole(volume.shape))
