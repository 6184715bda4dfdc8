"""Damage that only reading can find is blamed on the right chunk and file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.sample import sample_planes

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (20, 33, 40)


def brain() -> np.ndarray:
    return np.random.default_rng(5).integers(1, 9999, SHAPE).astype("u2")


def zarr_array(path: Path, version: Literal[2, 3], **options: Any) -> None:
    array = zarr.create_array(
        path,
        shape=SHAPE,
        dtype="u2",
        chunks=(8, 16, 16),
        zarr_format=version,
        **options,
    )
    array[:] = brain()


def n5(path: Path) -> None:
    z5py = pytest.importorskip("z5py")
    with z5py.File(str(path), "a", use_zarr_format=False) as file:
        file.create_dataset("v", data=brain(), chunks=(8, 16, 16), compression="gzip")


# Format, the file of the chunk (1, 1, 2), and how the message calls that chunk.
STORES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "zarr2": (lambda p: zarr_array(p, 2), "1.1.2", "chunk (1, 1, 2)"),
    "zarr2 lz4": (
        lambda p: zarr_array(p, 2, compressors=numcodecs.LZ4()),
        "1.1.2",
        "chunk (1, 1, 2)",
    ),
    "zarr3": (lambda p: zarr_array(p, 3), "c/1/1/2", "chunk (1, 1, 2)"),
    "zarr3 shards": (
        lambda p: zarr_array(p, 3, shards=(16, 32, 32)),
        "c/0/0/1",
        "chunk (0, 0, 2)",
    ),
    "n5": (n5, "v/2/1/1", "chunk (1, 1, 2)"),
}
TOUCHING = Roi((0, 0, 0), (12, 20, 40))
ELSEWHERE = Roi((0, 0, 0), (8, 16, 32))


@pytest.mark.parametrize("damage", ["cut in half", "emptied", "overwritten"])
@pytest.mark.parametrize("name", STORES)
def test_a_corrupt_chunk_is_named_with_its_file(
    name: str, damage: str, tmp_path: Path
) -> None:
    write, key, chunk = STORES[name]
    write(tmp_path / "a")
    file = tmp_path / "a" / key
    whole = file.read_bytes()
    new = {
        "cut in half": whole[: len(whole) // 2],
        "emptied": b"",
        "overwritten": b"\xa5" * len(whole),
    }
    file.write_bytes(new[damage])
    volume = open_volume(find(tmp_path / "a"))
    with pytest.raises(CorruptDataError) as caught:
        volume.read(TOUCHING)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    assert chunk in message
    np.testing.assert_array_equal(volume.read(ELSEWHERE), brain()[ELSEWHERE.slices()])


def test_one_bad_inner_chunk_leaves_the_rest_of_its_shard_readable(
    tmp_path: Path,
) -> None:
    zarr_array(
        tmp_path / "a", 3, shards=(16, 32, 32),
        compressors=[ZstdCodec(), Crc32cCodec()],
    )  # fmt: skip
    file = tmp_path / "a" / "c/0/0/0"
    raw = bytearray(file.read_bytes())
    raw[50] ^= 0xFF  # in the first inner chunk of the shard, which a checksum guards
    file.write_bytes(raw)
    volume = open_volume(find(tmp_path / "a"))
    bad = {}
    for z, y, x in np.ndindex(2, 2, 2):
        start = (8 * z, 16 * y, 16 * x)
        roi = Roi(start, (start[0] + 8, start[1] + 16, start[2] + 16))
        try:
            np.testing.assert_array_equal(volume.read(roi), brain()[roi.slices()])
        except CorruptDataError as error:
            bad[(z, y, x)] = str(error)
    ((chunk, message),) = bad.items()
    assert f"chunk {chunk}" in message
    assert str(file) in message


def test_a_missing_chunk_is_filled_and_no_error(tmp_path: Path) -> None:
    for name in ("zarr2", "zarr3", "n5"):
        write, key, _ = STORES[name]
        write(tmp_path / name)
        (tmp_path / name / key).unlink()
        values = open_volume(find(tmp_path / name)).read(Roi.whole(SHAPE))
        assert not values[8:16, 16:32, 32:40].any()
        assert values[:8].all()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "tile": (16, 16)},
        {"compression": "lzma"},
    ],
    ids=str,
)
def test_a_corrupt_piece_of_a_tiff_is_named_with_its_page(
    options: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, brain(), photometric="minisblack", **options)
    with tifffile.TiffFile(file) as tif:
        page = tif.pages[11]
        offset, count = page.dataoffsets[0], page.databytecounts[0]
    raw = bytearray(file.read_bytes())
    raw[offset : offset + count] = b"\xa5" * count
    file.write_bytes(raw)
    volume = open_volume(find(file))
    with pytest.raises(
        CorruptDataError, match=r"chunk \(11, 0, 0\).*page 11"
    ) as caught:
        volume.read(Roi((9, 0, 0), (13, 8, 8)))
    assert str(file) in str(caught.value)
    np.testing.assert_array_equal(
        volume.read(Roi((0, 0, 0), (11, 33, 40))), brain()[:11]
    )


def test_a_corrupt_slice_is_named(tmp_path: Path) -> None:
    for z, plane in enumerate(brain()):
        tifffile.imwrite(tmp_path / f"{z}.tif", plane, compression="zlib")
    volume = open_volume(find(tmp_path))
    file = tmp_path / "7.tif"
    with tifffile.TiffFile(file) as tif:
        offset = tif.pages.first.dataoffsets[0]
    raw = bytearray(file.read_bytes())
    raw[offset : offset + 400] = b"\xa5" * 400
    file.write_bytes(raw)
    with pytest.raises(CorruptDataError, match=r"7\.tif"):
        volume.read(Roi((5, 0, 0), (9, 4, 4)))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_no_crash(
    options: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, brain(), photometric="minisblack", **options)
    volume = open_volume(find(file))
    os.truncate(file, 2000)
    with pytest.raises(VolumeError, match="truncated"):
        volume.read(Roi((19, 0, 0), SHAPE))


def test_slices_that_change_after_they_were_found_are_an_error(tmp_path: Path) -> None:
    for z, plane in enumerate(brain()):
        tifffile.imwrite(tmp_path / f"{z}.tif", plane)
    volume = open_volume(find(tmp_path))
    tifffile.imwrite(tmp_path / "4.tif", np.ones((8, 8), "u2"))
    with pytest.raises(VolumeError, match="unlike the first slice"):
        volume.read(Roi((3, 0, 0), (6, 4, 4)))


def test_a_disk_that_fails_is_not_taken_for_corrupt_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr_array(tmp_path / "a", 3)
    bad = tmp_path / "a" / "c/1/1/2"
    bad.write_bytes(b"")
    volume = open_volume(find(tmp_path / "a"))
    real = Path.open

    def failing(self: Path, *args: Any, **options: Any) -> Any:
        if self == bad:
            raise OSError(5, "Input/output error")
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(VolumeError, match="Input/output error") as caught:
        volume.read(TOUCHING)
    assert not isinstance(caught.value, CorruptDataError)
    assert str(bad) in str(caught.value)


def test_a_slice_that_is_gone_is_an_error_of_the_store(tmp_path: Path) -> None:
    for z, plane in enumerate(brain()):
        tifffile.imwrite(tmp_path / f"{z}.tif", plane)
    volume = open_volume(find(tmp_path))
    (tmp_path / "9.tif").unlink()
    with pytest.raises(VolumeError, match=r"9\.tif") as caught:
        volume.read(Roi.whole(SHAPE))
    assert not isinstance(caught.value, CorruptDataError)


def test_unreadable_samples_are_passed_over_and_recorded(tmp_path: Path) -> None:
    write, key, _ = STORES["zarr3"]
    write(tmp_path / "a")
    (tmp_path / "a" / key).write_bytes(b"")
    sample = sample_planes(open_volume(find(tmp_path / "a")))
    assert 0 < len(sample.unreadable) < 16
    assert len(sample.patches) + len(sample.unreadable) == 16
    place, reason = sample.unreadable[0]
    assert place.startswith(("8:9,", "9:10,"))
    assert key in reason
