"""What is no volume is refused in one line, before any work."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import GeometryError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.describe import describe
from blockseg.io.find import find
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from pathlib import Path


def refused(uri: object, **choices: Any) -> str:
    with pytest.raises(VolumeError) as caught:
        find(str(uri), **choices)
    message = str(caught.value)
    assert "\n" not in message
    return message


def array(
    path: Path,
    shape: tuple[int, ...],
    dtype: str = "uint16",
    version: Literal[2, 3] = 3,
) -> None:
    zarr.create_array(path, shape=shape, dtype=dtype, chunks=shape, zarr_format=version)


def n5_dataset(path: Path, dimensions: list[int], **attributes: Any) -> None:
    path.mkdir(parents=True)
    stated = {
        "dimensions": dimensions,
        "blockSize": [8] * len(dimensions),
        "dataType": "uint16",
        "compression": {"type": "gzip", "level": -1},
        **attributes,
    }
    (path / "attributes.json").write_text(json.dumps(stated))


def test_a_missing_path_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "no" / "brain.zarr")


def test_a_wrong_path_inside_a_container_lists_what_is_there(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("raw", shape=(4, 4, 4), dtype="u2", chunks=(4, 4, 4))
    assert "holds raw" in refused(tmp_path / "a.zarr" / "row")


@pytest.mark.parametrize("version", [2, 3])
def test_an_empty_zarr_group_is_refused(tmp_path: Path, version: Any) -> None:
    zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    assert "empty group" in refused(tmp_path / "a.zarr")


def test_an_empty_folder_is_no_volume(tmp_path: Path) -> None:
    assert "without a volume" in refused(tmp_path)


def test_a_text_file_is_no_volume(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("hello")
    assert "not of a known format" in refused(tmp_path / "a.tif")


def test_other_known_formats_are_called_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "HDF5" in refused(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    assert "empty" in refused(tmp_path / "b")


def test_a_source_of_an_unknown_scheme_is_refused() -> None:
    assert "s3://, gs://, az://" in refused("ftp://example.org/brain.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_a_2d_zarr_array_is_refused(tmp_path: Path, version: Literal[2, 3]) -> None:
    array(tmp_path / "a.zarr", (16, 16), version=version)
    assert "2-D" in refused(tmp_path / "a.zarr")


def test_an_array_of_one_axis_or_six_is_refused(tmp_path: Path) -> None:
    array(tmp_path / "a.zarr", (16,))
    assert "1-D" in refused(tmp_path / "a.zarr")
    array(tmp_path / "b.zarr", (1, 1, 1, 1, 1, 1))
    assert "6-D" in refused(tmp_path / "b.zarr")


def test_longer_channel_and_time_axes_need_a_choice_that_the_message_names(
    tmp_path: Path,
) -> None:
    array(tmp_path / "a.zarr", (1, 3, 4, 4, 4))
    assert refused(tmp_path / "a.zarr").endswith(
        "has 3 channels; choose one with --channel"
    )
    assert "--channel 3 is not one" in refused(tmp_path / "a.zarr", channel=3)
    array(tmp_path / "b.zarr", (2, 1, 4, 4, 4))
    assert refused(tmp_path / "b.zarr").endswith(
        "has 2 time points; choose one with --timepoint"
    )
    n5_dataset(tmp_path / "c.n5", [4, 4, 4, 3])
    assert "3 channels; choose one with --channel" in refused(tmp_path / "c.n5")
    array(tmp_path / "d.zarr", (4, 4, 4))
    assert "no channel axis" in refused(tmp_path / "d.zarr", channel=1)


@pytest.mark.parametrize(
    "dtype", ["complex64", "float64", "uint32", "int64", "bool", "int8"]
)
@pytest.mark.parametrize("version", [2, 3])
def test_types_that_are_no_image_are_refused_by_name(
    tmp_path: Path, dtype: str, version: Literal[2, 3]
) -> None:
    array(tmp_path / "a.zarr", (4, 4, 4), dtype, version)
    message = refused(tmp_path / "a.zarr")
    assert dtype in message
    assert "uint8, uint16, int16, float32" in message


def test_a_mask_may_be_of_any_real_number(tmp_path: Path) -> None:
    for dtype in ("bool", "uint32", "int64", "float64"):
        array(tmp_path / dtype, (4, 4, 4), dtype)
        assert open_volume(find(tmp_path / dtype, mask=True)).dtype == np.dtype(dtype)
    array(tmp_path / "complex", (4, 4, 4), "complex64")
    assert "no mask" in refused(tmp_path / "complex", mask=True)


def test_structured_types_are_refused(tmp_path: Path) -> None:
    stated = {
        "zarr_format": 2, "shape": [4, 4, 4], "chunks": [4, 4, 4], "order": "C",
        "dtype": [["a", "<u2"], ["b", "<u2"]], "compressor": None, "fill_value": 0,
        "filters": None,
    }  # fmt: skip
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zarray").write_text(json.dumps(stated))
    refused(tmp_path / "a.zarr")


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4, 0)])
def test_a_volume_without_voxels_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=shape, dtype="u2", chunks=(4, 4, 4))
    assert "no voxels" in refused(tmp_path / "a.zarr")
    n5_dataset(tmp_path / "a.n5", list(shape))
    assert "no voxels" in refused(tmp_path / "a.n5")
    assert "no voxels" in refused("constant://0,4,4/uint16/3")


def test_a_level_beyond_the_last_is_refused_with_those_there_are(
    tmp_path: Path,
) -> None:
    for level in range(2):
        n5_dataset(tmp_path / "a.n5" / f"s{level}", [8 >> level] * 3)
    assert "levels 0, 1; --level 2" in refused(tmp_path / "a.n5", level=2)
    assert "below 0" in refused(tmp_path / "a.n5", level=-1)


def test_an_n5_root_with_several_datasets_lists_them(tmp_path: Path) -> None:
    root = tmp_path / "a.n5"
    for setup in (0, 1):
        for level in range(2):
            n5_dataset(
                root / f"setup{setup}" / "timepoint0" / f"s{level}", [8 >> level] * 3
            )
    (root / "attributes.json").write_text('{"n5": "2.0.0"}')
    message = refused(root)
    assert "2 images: setup0/timepoint0, setup1/timepoint0" in message
    spec = find(root, dataset="setup1/timepoint0", level=1)
    assert (spec.uri, spec.path, spec.level) == (str(root), "setup1/timepoint0/s1", 1)
    assert find(root / "setup1" / "timepoint0" / "s1") == spec
    assert find(root / "setup1", level=1) == spec


def test_a_zarr_group_with_several_arrays_lists_them(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr")
    for name in ("left", "right"):
        group.create_array(name, shape=(4, 4, 4), dtype="u2", chunks=(4, 4, 4))
    assert "2 images: left, right" in refused(tmp_path / "a.zarr")
    assert find(tmp_path / "a.zarr", dataset="left").path == "left"
    assert len(describe(tmp_path / "a.zarr").arrays) == 2


def test_a_codec_that_no_library_reads_is_named(tmp_path: Path) -> None:
    n5_dataset(
        tmp_path / "a.n5", [8, 8, 8], compression={"type": "lz4", "blockSize": 65536}
    )
    assert "compressed with lz4" in refused(tmp_path / "a.n5")
    array(tmp_path / "b.zarr", (4, 4, 4))
    file = tmp_path / "b.zarr" / "zarr.json"
    file.write_text(file.read_text().replace('"zstd"', '"middle-out"'))
    assert "middle-out" in refused(tmp_path / "b.zarr")


def test_damaged_metadata_are_named_with_their_file(tmp_path: Path) -> None:
    array(tmp_path / "a.zarr", (4, 4, 4))
    (tmp_path / "a.zarr" / "zarr.json").write_text('{"zarr_format": 3,')
    assert "zarr.json is damaged" in refused(tmp_path / "a.zarr")
    n5_dataset(tmp_path / "a.n5", [8, 8, 8], blockSize=[8, 8])
    assert "do not fit" in refused(tmp_path / "a.n5")


def test_an_image_whose_levels_are_not_there_is_refused(tmp_path: Path) -> None:
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    multiscales = [{"axes": axes, "datasets": datasets}]
    zarr.create_group(
        tmp_path / "a.zarr", attributes={"ome": {"multiscales": multiscales}}
    )
    assert "copy is incomplete" in refused(tmp_path / "a.zarr")
    array(tmp_path / "a.zarr" / "0", (1, 4, 4, 4))
    assert "has 4 axes" in refused(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"imagej": True},
        {"ome": True},
        {"bigtiff": True},
        {"compression": "zlib"},
        {"tile": (16, 16, 16)},
        {"rowsperstrip": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_truncated_tiff_is_refused_with_page_and_missing_bytes(
    tmp_path: Path, options: dict[str, Any], kept: float
) -> None:
    data = np.random.default_rng(0).integers(0, 9999, (20, 32, 24)).astype("u2")
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, data, photometric="minisblack", **options)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    message = refused(file)
    assert re.search(r"truncated: page \d+ needs \d+ bytes, .*\(\d+ missing\)", message)
    assert str(file) in message
    assert file.stat().st_size == int(len(whole) * kept)


def test_a_hyperstack_of_one_directory_must_hold_all_its_planes(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    with tifffile.TiffWriter(file, imagej=True) as writer:
        writer.write(np.ones((9, 8, 8), "u2"), metadata={"axes": "ZYX"})
    raw = file.read_bytes()
    with tifffile.TiffFile(file) as tif:
        page = tif.pages.first
        start, following = page.dataoffsets[0], page.offset + 2 + 12 * len(page.tags)
    # As ImageJ writes large stacks: one directory, then all planes in one piece.
    only_one = raw[:following] + bytes(4) + raw[following + 4 :]
    file.write_bytes(only_one)
    assert open_volume(find(file)).shape == (9, 8, 8)
    file.write_bytes(only_one[: start + 5 * 128])
    refused(file)


def test_a_loop_of_pages_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.ones((8, 8), "u2"), metadata=None)
    raw = bytearray(file.read_bytes())
    with tifffile.TiffFile(file) as tif:
        offset, tags = tif.pages.first.offset, len(tif.pages.first.tags)
    place = offset + 2 + 12 * tags
    raw[place : place + 4] = offset.to_bytes(4, "little")
    file.write_bytes(raw)
    assert "loop back" in refused(file)


def test_2d_and_colour_tiffs_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 9), "u2"))
    assert "2-D" in refused(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.ones((8, 9, 3), "u1"), photometric="rgb")
    assert "colour" in refused(tmp_path / "b.tif")
    data = np.ones((3, 8, 9), "u2")
    tifffile.imwrite(tmp_path / "c.tif", data, ome=True, metadata={"axes": "CYX"})
    assert "2-D" in refused(tmp_path / "c.tif")


def test_pages_of_different_shape_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for size in (8, 8, 9):
            writer.write(np.ones((size, 8), "u2"), metadata=None)
    assert "different shape or type" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (np.ones((9, 8), "u2"), "9×8 pixels"),
        (np.ones((8, 8), "u1"), "8 bits"),
        (np.ones((2, 8, 8), "u2"), "holds 2 pages"),
    ],
    ids=["shape", "type", "pages"],
)
def test_the_odd_slice_is_named(tmp_path: Path, odd: np.ndarray, said: str) -> None:
    for z in range(5):
        tifffile.imwrite(tmp_path / f"{z}.tif", np.ones((8, 8), "u2"))
    tifffile.imwrite(tmp_path / "3.tif", odd, photometric="minisblack")
    message = refused(tmp_path)
    assert str(tmp_path / "3.tif") in message
    assert said in message


def test_a_truncated_slice_is_named(tmp_path: Path) -> None:
    for z in range(5):
        tifffile.imwrite(tmp_path / f"{z}.tif", np.ones((8, 8), "u2"))
    file = tmp_path / "2.tif"
    file.write_bytes(file.read_bytes()[:-40])
    message = refused(tmp_path)
    assert f"{file} is truncated" in message


def test_a_glob_may_only_name_tiffs_and_must_name_some(tmp_path: Path) -> None:
    assert "no file matches" in refused(tmp_path / "*.tif")
    for z in range(3):
        tifffile.imwrite(tmp_path / f"{z}.tif", np.ones((8, 8), "u2"))
    (tmp_path / "note.txt").write_text("x")
    assert "note.txt is not a TIFF" in refused(tmp_path / "*")
    assert find(f"{tmp_path}/*.tif").uri == f"{tmp_path}/*.tif"


def test_regions_outside_the_volume_are_refused(tmp_path: Path) -> None:
    array(tmp_path / "a.zarr", (8, 8, 8))
    tifffile.imwrite(tmp_path / "b.tif", np.ones((8, 8, 8), "u2"))
    tifffile.imwrite(tmp_path / "c.tif", np.ones((8, 8, 8), "u2"), compression="zlib")
    for name in ("a.zarr", "b.tif", "c.tif"):
        volume = open_volume(find(tmp_path / name))
        with pytest.raises(GeometryError):
            volume.read(Roi((0, 0, 0), (9, 8, 8)))
        with pytest.raises(GeometryError):
            volume.read(Roi((-1, 0, 0), (4, 4, 4)))


def test_nothing_is_written_by_a_refusal(tmp_path: Path) -> None:
    array(tmp_path / "a.zarr", (16, 16))
    before = sorted(tmp_path.rglob("*"))
    refused(tmp_path / "a.zarr")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_truncated_level_of_a_pyramid_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    data = np.random.default_rng(0).integers(0, 99, (4, 64, 64)).astype("u1")
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(data, subifds=1, tile=(32, 32), metadata={"axes": "ZYX"})
        writer.write(data[:, ::2, ::2], subfiletype=1, tile=(32, 32))
    with tifffile.TiffFile(file) as tif:
        coarse = tif.series[0].levels[1].pages[3]
        assert coarse is not None
        last = max(coarse.dataoffsets) + 32 * 32
    raw = file.read_bytes()
    file.write_bytes(raw[: last - 10])
    assert "is truncated: page" in refused(file)


def test_one_file_of_an_ome_tiff_of_many_is_refused(tmp_path: Path) -> None:
    names = [f"{z}.ome.tif" for z in range(3)]
    blocks = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{z:08d}-0000-0000-0000-000000000000</UUID>'
        "</TiffData>"
        for z, name in enumerate(names)
    )
    for z, name in enumerate(names):
        description = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
            f'2016-06" UUID="urn:uuid:{z:08d}-0000-0000-0000-000000000000">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
            'Type="uint16" SizeX="8" SizeY="8" SizeZ="3" SizeC="1" SizeT="1">'
            f'<Channel ID="Channel:0:0"/>{blocks}</Pixels></Image></OME>'
        )
        tifffile.imwrite(
            tmp_path / name,
            np.full((8, 8), z, "u2"),
            description=description,
            metadata=None,
        )
    assert "one of several files of an OME-TIFF" in refused(tmp_path / names[0])
    volume = open_volume(find(tmp_path))
    assert volume.read(Roi.whole((3, 8, 8)))[:, 0, 0].tolist() == [0, 1, 2]


def test_stray_metadata_around_a_source_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "attributes.json").write_text("not JSON at all")
    folder = tmp_path / "x"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", np.ones((5, 8, 8), "u2"))
    array(folder / "a.zarr", (4, 4, 4))
    n5_dataset(folder / "a.n5" / "raw", [4, 5, 6])
    for name in ("a.tif", "a.zarr", "a.n5"):
        assert find(folder / name).uri == str(folder / name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "tile": (16, 16)},
        {"ome": True, "compression": "lzw"},
        {"imagej": True},
    ],
    ids=str,
)
def test_a_damaged_directory_never_crashes(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "a.tif"
    tifffile.imwrite(
        file,
        rng.integers(0, 99, (6, 20, 24)).astype("u2"),
        photometric="minisblack",
        **options,
    )
    raw = file.read_bytes()
    with tifffile.TiffFile(file) as tif:
        offsets = [page.offset for page in tif.pages]
    refusals = 0
    for _ in range(60):
        damaged = bytearray(raw)
        for place in rng.integers(0, 200, 2) + rng.choice(offsets):
            damaged[min(place, len(raw) - 1)] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            volume = open_volume(find(file))
            volume.read(Roi((0, 0, 0), (1, 1, 1)))
        except VolumeError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refusals += 1
    assert refusals > 5
