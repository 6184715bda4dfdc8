"""The same volume in every format reads the same, and no source is touched."""

from __future__ import annotations

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.codecs import GzipCodec

from blockseg.core.geometry import Roi
from blockseg.io.describe import describe
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.sample import sample_planes
from blockseg.io.source_files.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

z5py = pytest.importorskip("z5py", reason="a second implementation of N5")

SHAPE = (21, 45, 37)
CHUNKS = (8, 16, 16)


def brain(dtype: str = "uint16") -> np.ndarray:
    values = np.random.default_rng(7).integers(0, 251, SHAPE)
    values[:8, :16, :16] = 0  # a chunk that most writers do not store
    return values.astype(dtype)


def zarr_array(
    path: Path, data: np.ndarray, zarr_format: Literal[2, 3], **options: Any
) -> str:
    array = zarr.create_array(
        path, shape=data.shape, dtype=data.dtype, zarr_format=zarr_format, **options
    )
    array[:] = data
    return str(path)


def ngff(path: Path, data: np.ndarray, version: str) -> str:
    """A hand-written OME-NGFF image of two levels, axes tczyx and zyx."""
    zarr_format: Literal[2, 3] = 2 if version == "0.4" else 3
    data = data[None, None] if version == "0.4" else data
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    if version == "0.4":
        axes = [
            {"name": "t", "type": "time"},
            {"name": "c", "type": "channel"},
            *axes,
        ]
    lead = [1.0] * (data.ndim - 3)
    datasets = [
        {
            "path": f"s{level}",
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [*lead, *(s * 2**level for s in (4e3, 500, 500))],
                }
            ],
        }
        for level in range(2)
    ]
    multiscales = [{"version": version, "axes": axes, "datasets": datasets}]
    attributes: dict[str, Any] = {"multiscales": multiscales}
    if version != "0.4":
        attributes = {"ome": {"version": version, **attributes}}
    group = zarr.create_group(path, zarr_format=zarr_format, attributes=attributes)
    options: dict[str, Any] = {"chunks": (*(1,) * len(lead), *CHUNKS)}
    if zarr_format == 2:
        options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    for level in range(2):
        part = data[..., :: 2**level, :: 2**level, :: 2**level]
        array = group.create_array(
            f"s{level}", shape=part.shape, dtype=part.dtype, **options
        )
        array[:] = part
    return str(path)


def n5(path: Path, data: np.ndarray, codec: str) -> str:
    with z5py.File(str(path), "a", use_zarr_format=False) as file:
        file.create_dataset("volume", data=data, chunks=CHUNKS, compression=codec)
    return str(path)


def tiff(path: Path, data: np.ndarray, **options: Any) -> str:
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return str(path)


def scattered_tiff(path: Path, data: np.ndarray, **options: Any) -> str:
    """Pages written one by one, with a directory between any two."""
    with tifffile.TiffWriter(path) as writer:
        for plane in data:
            writer.write(
                plane,
                contiguous=False,
                metadata=None,
                photometric="minisblack",
                **options,
            )
    return str(path)


def slices(path: Path, data: np.ndarray, **options: Any) -> str:
    path.mkdir()
    for z, plane in enumerate(data):
        tifffile.imwrite(path / f"img{z + 3}.tif", plane, **options)
    (path / "notes.txt").write_text("not a slice")
    return str(path)


def gzip_v3(path: Path, data: np.ndarray) -> str:
    return zarr_array(path, data, 3, chunks=CHUNKS, compressors=GzipCodec())


FORMATS: dict[str, Callable[[Path, np.ndarray], str]] = {
    "zarr2": lambda p, a: zarr_array(p, a, 2, chunks=CHUNKS),
    "zarr2 big-endian": lambda p, a: zarr_array(
        p, a.astype(a.dtype.newbyteorder(">")), 2, chunks=CHUNKS
    ),
    "zarr2 lz4, unknown to tensorstore": lambda p, a: zarr_array(
        p, a, 2, chunks=CHUNKS, compressors=numcodecs.LZ4()
    ),
    "zarr2 with a filter": lambda p, a: zarr_array(
        p, a, 2, chunks=CHUNKS, filters=[numcodecs.Delta(dtype=a.dtype)]
    ),
    "zarr3": lambda p, a: zarr_array(p, a, 3, chunks=CHUNKS),
    "zarr3 gzip": gzip_v3,
    "zarr3 sharded": lambda p, a: zarr_array(
        p, a, 3, chunks=CHUNKS, shards=(16, 32, 32)
    ),
    "ngff 0.4": lambda p, a: ngff(p, a, "0.4"),
    "ngff 0.5": lambda p, a: ngff(p, a, "0.5"),
    **{
        f"n5 {codec}": lambda p, a, codec=codec: n5(p, a, codec)  # type: ignore[misc]
        for codec in ("raw", "gzip", "bzip2", "xz", "blosc", "zstd")
    },
    "tiff": lambda p, a: tiff(p, a),
    "tiff deflate": lambda p, a: tiff(p, a, compression="zlib", rowsperstrip=7),
    "tiff predictor": lambda p, a: tiff(p, a, compression="zlib", predictor=True),
    "tiff lzw": lambda p, a: tiff(p, a, compression="lzw"),
    "tiff tiled": lambda p, a: tiff(p, a, tile=(16, 32)),
    "tiff volumetric tiles": lambda p, a: tiff(
        p, a, tile=(16, 16, 16), compression="zlib"
    ),
    "tiff big-endian": lambda p, a: tiff(p, a, byteorder=">"),
    "tiff big-endian lzw": lambda p, a: tiff(p, a, byteorder=">", compression="lzw"),
    "bigtiff": lambda p, a: tiff(p, a, bigtiff=True),
    "imagej": lambda p, a: tiff(p, a, imagej=True),
    "ome-tiff": lambda p, a: tiff(p, a, ome=True, metadata={"axes": "ZYX"}),
    "scattered pages": lambda p, a: scattered_tiff(p, a),
    "scattered strips": lambda p, a: scattered_tiff(p, a, rowsperstrip=4),
    "slices": lambda p, a: slices(p, a),
    "slices lzw": lambda p, a: slices(p, a, compression="lzw"),
    "slices tiled big-endian": lambda p, a: slices(p, a, tile=(16, 16), byteorder=">"),
}


def contents(path: Path) -> dict[str, str]:
    files = (
        [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    )
    return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_the_same_and_is_left_untouched(
    name: str, tmp_path: Path
) -> None:
    data = brain()
    source = FORMATS[name](tmp_path / "source", data)
    before = contents(Path(source))
    times = {file: Path(file).stat().st_mtime_ns for file in before}

    spec = find(source)
    volume = open_volume(spec)
    assert volume.shape == SHAPE
    assert volume.dtype == np.dtype("uint16")
    assert volume.dtype.isnative
    whole = volume.read(Roi.whole(SHAPE))
    assert whole.dtype.isnative
    np.testing.assert_array_equal(whole, data)
    for roi in (
        Roi((3, 7, 5), (18, 33, 21)),
        Roi((20, 44, 36), SHAPE),
        Roi((1,) * 3, (1,) * 3),
    ):
        np.testing.assert_array_equal(volume.read(roi), data[roi.slices()])
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.read(Roi.whole(SHAPE)), data)
    assert describe(source).taken is not None
    assert json.loads(json.dumps(fingerprint(spec))) == fingerprint(spec)

    assert contents(Path(source)) == before
    assert {file: Path(file).stat().st_mtime_ns for file in before} == times


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize(
    "name",
    ["zarr2 big-endian", "zarr3 sharded", "n5 gzip", "tiff big-endian", "tiff lzw"],
)
def test_the_other_types_read_the_same(name: str, dtype: str, tmp_path: Path) -> None:
    data = brain(dtype) - np.dtype(dtype).type(dtype != "uint8")
    volume = open_volume(find(FORMATS[name](tmp_path / "source", data)))
    assert volume.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.read(Roi.whole(SHAPE)), data)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("formats")
    chosen = ("zarr2", "zarr3 sharded", "ngff 0.4", "n5 blosc", "tiff", "tiff deflate")
    more = ("tiff volumetric tiles", "scattered strips", "slices lzw")
    return [
        open_volume(find(FORMATS[name](folder / str(i), brain())))
        for i, name in enumerate(chosen + more)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_region_equals_the_array_under_its_slices(
    opened: list[Any], data: st.DataObject
) -> None:
    ends = [
        sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
        for n in SHAPE
    ]
    roi = Roi(*zip(*ends, strict=True))
    for volume in opened:
        np.testing.assert_array_equal(volume.read(roi), brain()[roi.slices()])


def test_threads_may_read_one_volume_at_the_same_time(opened: list[Any]) -> None:
    rois = [Roi((z, z, z), (z + 9, z + 20, z + 16)) for z in range(12)] * 3
    for volume in opened:
        with ThreadPoolExecutor(6) as pool:
            parts = list(pool.map(volume.read, rois))
        for roi, part in zip(rois, parts, strict=True):
            np.testing.assert_array_equal(part, brain()[roi.slices()])


def test_the_sample_does_not_depend_on_the_format(opened: list[Any]) -> None:
    first, *others = [sample_planes(volume) for volume in opened]
    assert first.unreadable == ()
    for other in others:
        assert len(first.patches) == len(other.patches)
        for a, b in zip(first.patches, other.patches, strict=True):
            np.testing.assert_array_equal(a, b)


def test_chunks_of_a_sharded_array_are_the_inner_ones(tmp_path: Path) -> None:
    source = FORMATS["zarr3 sharded"](tmp_path / "source", brain())
    assert open_volume(find(source)).chunk_shape == CHUNKS
    (array,) = describe(source).arrays
    assert array.chunks == CHUNKS
    assert array.shards == (16, 32, 32)


def test_a_level_and_an_array_inside_the_image_are_the_same_volume(
    tmp_path: Path,
) -> None:
    for version in ("0.4", "0.5"):
        source = ngff(tmp_path / version, brain(), version)
        by_level = find(source, level=1)
        by_path = find(f"{source}/s1")
        assert by_level == by_path == find(source, dataset="s1")
        assert by_level.uri == source
        volume = open_volume(by_level)
        np.testing.assert_array_equal(
            volume.read(Roi.whole(volume.shape)), brain()[::2, ::2, ::2]
        )
        assert volume.space.unit == "micrometer"
        assert volume.space.voxel_size == pytest.approx((8.0, 1.0, 1.0))


def test_channels_and_time_points_are_chosen_by_number(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 9999, (2, 7, 3, 20, 30)).astype("u2")
    tczyx = np.ascontiguousarray(data.transpose(0, 2, 1, 3, 4))
    sources = [
        tiff(tmp_path / "i.tif", data, imagej=True, metadata={"axes": "TZCYX"}),
        tiff(
            tmp_path / "o.tif",
            data,
            ome=True,
            metadata={"axes": "TZCYX"},
            compression="zlib",
        ),
        zarr_array(tmp_path / "a", tczyx, 3, chunks=(1, 1, 4, 8, 8)),
        zarr_array(tmp_path / "b", tczyx, 2, chunks=(2, 2, 4, 8, 8)),
    ]
    with z5py.File(str(tmp_path / "c"), "a", use_zarr_format=False) as file:
        file.create_dataset(
            "raw", data=tczyx, chunks=(1, 1, 4, 8, 8), compression="gzip"
        )
    sources.append(str(tmp_path / "c"))
    for source in sources:
        spec = find(source, channel=2, timepoint=1)
        assert (spec.channel, spec.timepoint) == (2, 1)
        volume = open_volume(spec)
        assert volume.shape == (7, 20, 30)
        np.testing.assert_array_equal(
            volume.read(Roi.whole(volume.shape)), data[1, :, 2]
        )


def test_slices_are_sorted_as_people_count(tmp_path: Path) -> None:
    source = slices(
        tmp_path / "s", np.stack([np.full((5, 6), z) for z in range(15)]).astype("u1")
    )
    for uri in (source, f"{source}/*.tif"):
        volume = open_volume(find(uri))
        assert list(volume.read(Roi((0, 0, 0), (15, 1, 1))).ravel()) == list(range(15))


def test_slices_named_without_a_suffix_are_found_by_content(tmp_path: Path) -> None:
    source = Path(slices(tmp_path / "s", brain()))
    for file in source.glob("*.tif"):
        file.rename(file.with_suffix(""))
    volume = open_volume(find(source))
    np.testing.assert_array_equal(volume.read(Roi.whole(SHAPE)), brain())


def test_a_name_that_lies_about_its_content_misleads_nobody(tmp_path: Path) -> None:
    for name, wrong in (("zarr3", "a.tif"), ("n5 gzip", "a.zarr"), ("tiff", "a.n5")):
        path = tmp_path / wrong
        data = brain()
        source = FORMATS[name](tmp_path / "right", data)
        Path(source).rename(path)
        np.testing.assert_array_equal(
            open_volume(find(path)).read(Roi.whole(SHAPE)), data
        )


def test_pages_of_a_pyramid_are_resolution_levels(tmp_path: Path) -> None:
    data = np.random.default_rng(3).integers(0, 99, (5, 64, 64)).astype("u1")
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as writer:
        writer.write(
            data,
            subifds=1,
            tile=(32, 32),
            metadata={
                "axes": "ZYX",
                "PhysicalSizeZ": 2.0,
                "PhysicalSizeY": 0.5,
                "PhysicalSizeX": 0.5,
            },
        )
        writer.write(data[:, ::2, ::2], subfiletype=1, tile=(32, 32))
    volume = open_volume(find(tmp_path / "p.ome.tif", level=1))
    np.testing.assert_array_equal(
        volume.read(Roi.whole(volume.shape)), data[:, ::2, ::2]
    )
    assert volume.space.voxel_size == pytest.approx((2.0, 1.0, 1.0))


def test_the_real_stacks_read_as_tifffile_reads_them(shared_data: Path) -> None:
    file = shared_data / "real" / "neurotorch_cells.tif"
    volume = open_volume(find(file))
    np.testing.assert_array_equal(
        volume.read(Roi.whole(volume.shape)), tifffile.imread(file)
    )
