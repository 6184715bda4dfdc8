"""Blocks that are written, refused, empty, damaged, or meet a full disk."""

import errno
import os
import pickle
import re
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr

from blockseg.core.errors import (
    CorruptDataError,
    GeometryError,
    NoSpaceError,
    OutputGoneError,
    VolumeError,
)
from blockseg.core.geometry import Roi
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.write_errors import closed_midway, write_error
from blockseg.io.output.writer import BlockWritten, PyramidWriter

Format = Literal[2, 3]
SHAPE = (100, 100, 150)
FIRST = Roi((0, 0, 0), (64, 64, 64))
LAST = Roi((64, 64, 128), SHAPE)


def writer_in(folder: Path, **changes: Any) -> PyramidWriter:
    settings: dict[str, Any] = {"shape": SHAPE, "block": (64, 64, 64)}
    spec = PyramidSpec(str(folder), **(settings | changes))
    create_output(spec)
    return PyramidWriter(spec)


def shards(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name.isdigit()
    }


def test_a_write_tells_what_it_wrote(tmp_path: Path) -> None:
    data = np.zeros((64, 64, 64), np.uint16)
    data[3, 4, 5:8] = 700
    written = writer_in(tmp_path, dtype="uint16").write_block(FIRST, data)
    assert written == BlockWritten(
        voxels=64**3,
        nonzero=3,
        bytes=2 * 64**3,
        crc32=zlib.crc32(data.tobytes()),
        files=1,
    )


def test_the_files_of_inline_levels_and_of_each_chunk_are_counted(
    tmp_path: Path,
) -> None:
    data = np.zeros((128, 128, 128), np.uint8)
    data[0, 0, 0] = data[127, 127, 127] = 1
    roi = Roi.whole(data.shape)
    for zarr_format, expected in ((3, 2), (2, 3)):
        writer = writer_in(
            tmp_path / str(zarr_format),
            shape=(128, 128, 200),
            block=(128, 128, 128),
            zarr_format=zarr_format,
        )
        assert writer.write_block(roi, data).files == expected
        assert len(shards(tmp_path / str(zarr_format))) == expected


@pytest.mark.parametrize(
    "roi",
    [
        Roi((0, 0, 0), (64, 64, 128)),
        Roi((1, 0, 0), (65, 64, 64)),
        Roi((64, 64, 128), (128, 128, 192)),
        Roi((-64, 0, 0), (0, 64, 64)),
        Roi((0, 0, 0), (0, 0, 0)),
    ],
)
def test_what_is_not_one_block_is_refused(tmp_path: Path, roi: Roi) -> None:
    with pytest.raises(GeometryError, match="is not one block"):
        writer_in(tmp_path).write_block(roi, np.ones(roi.shape, np.uint8))
    assert not shards(tmp_path)


@pytest.mark.parametrize(
    "data", [np.ones((64, 64, 63), np.uint8), np.ones((64, 64, 64), np.int64)]
)
def test_data_of_another_shape_or_type_are_refused(
    tmp_path: Path, data: np.ndarray[Any, Any]
) -> None:
    with pytest.raises(
        GeometryError, match=r"takes \(64, 64, 64\) voxels of type uint8"
    ):
        writer_in(tmp_path).write_block(FIRST, data)
    assert not shards(tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_empty_block_leaves_neither_file_nor_folder(
    tmp_path: Path, zarr_format: Format
) -> None:
    writer = writer_in(tmp_path, zarr_format=zarr_format)
    before = sorted(tmp_path.rglob("*"))
    assert writer.write_block(FIRST, np.zeros((64, 64, 64), np.uint8)).files == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_block_that_is_empty_now_removes_what_it_wrote_before(
    tmp_path: Path, zarr_format: Format
) -> None:
    writer = writer_in(
        tmp_path, shape=(128, 128, 200), block=(128, 128, 128), zarr_format=zarr_format
    )
    roi = Roi((0, 0, 0), (128, 128, 128))
    writer.write_block(roi, np.ones(roi.shape, np.uint8))
    assert shards(tmp_path)
    writer.write_block(roi, np.zeros(roi.shape, np.uint8))
    assert not shards(tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_that_is_empty_now_is_no_longer_stored(
    tmp_path: Path, zarr_format: Format
) -> None:
    settings: dict[str, Any] = {"block": (128, 128, 128), "zarr_format": zarr_format}
    roi = Roi((0, 0, 0), (100, 100, 128))
    data = np.zeros(roi.shape, np.uint8)
    data[:10, :10, :10] = 1
    again = writer_in(tmp_path / "again", **settings)
    again.write_block(roi, np.ones(roi.shape, np.uint8))
    again.write_block(roi, data)
    writer_in(tmp_path / "once", **settings).write_block(roi, data)
    assert shards(tmp_path / "again") == shards(tmp_path / "once")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("keep", [0, 20, -7])
def test_a_damaged_shard_is_written_over(
    tmp_path: Path, zarr_format: Format, keep: int
) -> None:
    writer = writer_in(tmp_path, zarr_format=zarr_format, block=(128, 128, 128))
    roi = Roi((0, 0, 128), SHAPE)
    data = np.random.default_rng(1).integers(0, 9, roi.shape, np.uint8)
    writer.write_block(roi, data)
    before = shards(tmp_path)
    for name, content in before.items():
        (tmp_path / name).write_bytes(content[:keep])
    PyramidWriter(writer.spec).write_block(roi, data)
    assert shards(tmp_path) == before


def test_a_damaged_level_is_named_by_the_second_pass(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.write_block(FIRST, np.ones((64, 64, 64), np.uint8))
    file = tmp_path / "0" / "c" / "0" / "0" / "0"
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(CorruptDataError, match=re.escape(str(file))):
        writer.write_level_block(1, (0, 0, 0))


def test_only_levels_of_the_second_pass_are_made_by_it(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    for level in (-1, 0, 2):
        with pytest.raises(GeometryError, match="has no second pass"):
            writer.write_level_block(level, (0, 0, 0))
    with pytest.raises(GeometryError, match="there is none at"):
        writer.write_level_block(1, (1, 0, 0))


def test_a_writer_travels_as_its_specification(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.write_block(FIRST, np.ones((64, 64, 64), np.uint8))
    copy = pickle.loads(pickle.dumps(writer))
    assert copy.spec == writer.spec
    assert len(pickle.dumps(writer)) < 1000
    copy.write_block(LAST, np.ones(LAST.shape, np.uint8))
    assert len(shards(tmp_path)) == 2


def test_an_output_that_was_not_made_is_an_error(tmp_path: Path) -> None:
    spec = PyramidSpec(str(tmp_path / "none"), SHAPE, (64, 64, 64))
    with pytest.raises(VolumeError, match="is not the array that this run made"):
        PyramidWriter(spec).write_block(FIRST, np.ones((64, 64, 64), np.uint8))


def test_the_array_of_another_run_is_an_error(tmp_path: Path) -> None:
    writer_in(tmp_path)
    other = PyramidSpec(str(tmp_path), SHAPE, (32, 64, 64))
    roi = Roi((0, 0, 0), (32, 64, 64))
    with pytest.raises(VolumeError, match="is not the array that this run made"):
        PyramidWriter(other).write_block(roi, np.ones(roi.shape, np.uint8))


@pytest.mark.parametrize(
    "text",
    [
        "Error writing a/0.__lock: No space left on device [os_error_code='28']",
        "Error writing a/0: Failed to create directory [os_error_code='122']",
        f"Error writing a/0: {os.strerror(errno.EDQUOT)}",
    ],
)
def test_a_full_disk_or_quota_is_told_from_other_errors(text: str) -> None:
    error = write_error(ValueError(text), "level 0")
    assert isinstance(error, NoSpaceError)
    assert "free some" in str(error)
    assert "os_error_code" not in str(error)


def test_a_full_disk_is_told_from_an_operating_system_error() -> None:
    assert isinstance(write_error(OSError(28, "full"), "zarr.json"), NoSpaceError)


def test_what_could_be_written_to_before_is_told_as_gone() -> None:
    cause = PermissionError(13, "Permission denied", "blocks/zarr.json")
    error = write_error(cause, "blocks")
    error.__cause__ = cause
    assert type(error) is VolumeError
    gone = closed_midway(error)
    assert isinstance(gone, OutputGoneError)
    assert "could be written to before" in str(gone)
    other = VolumeError("cannot be decoded")
    assert closed_midway(other) is other


def test_what_a_disk_forbids_is_not_told_as_the_answer_of_a_store() -> None:
    said = (
        "PERMISSION_DENIED: Error opening local file [Permission denied] "
        "[os_error_code='13']"
    )
    error = write_error(ValueError(said), "level 0", midway=True)
    assert isinstance(error, OutputGoneError)
    assert "Permission denied" in str(error)
    assert "store" not in str(error)
    refused = ValueError("PERMISSION_DENIED: Error writing key: HTTP 403")
    assert "the store refuses it" in str(write_error(refused, "level 0"))


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied"),
        ValueError("PERMISSION_DENIED: Error writing [os_error_code='13']"),
        ValueError("Error reading local file: Input/output error [os_error_code='5']"),
    ],
)
def test_other_errors_may_pass_when_tried_again(error: Exception) -> None:
    translated = write_error(error, "level 0")
    assert type(translated) is VolumeError


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", ["blosc-zstd", "zstd"])
def test_chunks_compressed_in_one_piece_are_read_by_others_and_take_fewer_bytes(
    tmp_path: Path, zarr_format: Format, codec: str
) -> None:
    data = np.zeros((64, 64, 64), np.uint64)
    rng = np.random.default_rng(4)
    data[::9, ::5, 7:23] = rng.integers(1, 5000, (8, 13, 1))
    sizes = {}
    for whole in (False, True):
        folder = tmp_path / str(whole)
        options = {"dtype": "uint64", "codec": codec, "zarr_format": zarr_format}
        writer_in(folder, whole_chunks=whole, **options).write_block(FIRST, data)
        array: Any = zarr.open_array(folder / "0", mode="r")
        assert (array[:64, :64, :64] == data).all()
        sizes[whole] = sum(map(len, shards(folder).values()))
    if codec == "zstd":
        assert sizes[True] == sizes[False]
    else:
        assert sizes[True] < sizes[False]


def test_a_maximum_of_negative_voxels_that_is_0_has_no_file(tmp_path: Path) -> None:
    options: dict[str, Any] = {"block": (128,) * 3, "shape": (128,) * 3}
    writer = writer_in(tmp_path, dtype="int16", **options)
    data = np.zeros((128,) * 3, np.int16)
    data[5, 6, 7] = -3
    assert writer.write_block(Roi.whole(data.shape), data).files == 1
    assert len(shards(tmp_path)) == 1


def test_no_level_is_on_its_way_when_another_could_not_be_written(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"block": (128,) * 3, "shape": (128, 128, 200)}
    writer = writer_in(tmp_path, **options)
    (tmp_path / "1" / "c").write_text("no folder")
    data = np.ones((128,) * 3, np.uint8)
    roi = Roi.whole(data.shape)
    with pytest.raises(VolumeError, match="level 1"):
        writer.write_block(roi, data)
    assert (tmp_path / "0/c/0/0/0").is_file()
    (tmp_path / "1" / "c").unlink()
    end = writer.begin_block(roi, data)
    assert end().files == 2
    assert (writer.read_level(1, Roi.whole((64,) * 3)) == 1).all()
