"""Imaris, BigDataViewer, precomputed, Vaa3D, pictures and ZIP: the voxels that were written.

What writes them here follows what is published of the formats (``tests/written``).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import h5py
import imagecodecs
import numpy as np
import pytest
import tensorstore as ts
import tifffile
import z5py
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.storage import ZipStore

from blockseg.core.errors import CorruptDataError, MissingExtraError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.describe import describe
from blockseg.io.find import find
from blockseg.io.masks.tissue import coarser_levels
from blockseg.io.open import open_volume
from blockseg.io.source_files.files import SourceFiles
from blockseg.io.source_files.fingerprint import differences, fingerprint
from tests.written import formats as written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (21, 45, 37)


def brain(dtype: str = "uint16", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    top = 60_000 if dtype == "uint16" else 250
    voxels = np.random.default_rng(3).integers(1, top, shape)
    voxels[:16, :16, :16] = 0  # a chunk that some writers do not store
    return voxels.astype(dtype)


def _bdv_n5(path: Path, data: np.ndarray, **options: Any) -> Path:
    chunks = options.get("chunks", (16, 16, 16))
    with z5py.File(str(path.with_suffix(".n5")), "w", use_zarr_format=False) as file:
        for level in range(2):
            step = 2**level
            array = file.create_dataset(
                f"setup0/timepoint0/s{level}", shape=data[::step, ::step, ::step].shape,
                chunks=tuple(map(min, chunks, data[::step, ::step, ::step].shape)),
                dtype=data.dtype.name,
            )  # fmt: skip
            array[...] = data[::step, ::step, ::step]
    loader = f'format="bdv.n5"><n5 type="relative">{path.stem}.n5</n5>'
    return written.write_bdv_xml(path, (1, *data.shape), loader)


def _sharded(path: Path, data: np.ndarray, **options: Any) -> Path:
    return written.write_precomputed(path, data, sharding=written.SHARDING, **options)


def _gzipped(path: Path, data: np.ndarray, **options: Any) -> Path:
    return written.packed_like_cloud_volume(
        written.write_precomputed(path, data, **options)
    )


def _v3draw(path: Path, data: np.ndarray, **_: Any) -> Path:
    return written.write_v3draw(path, data)


def _pictures(codec: str) -> Callable[..., Path]:
    return lambda path, data, **_: written.write_slices(path, data, codec)


FORMATS: dict[str, tuple[str, Callable[..., Path]]] = {
    "Imaris": ("a.ims", written.write_imaris),
    "BigDataViewer, HDF5": ("a.xml", written.write_bdv),
    "BigDataViewer, N5": ("b.xml", _bdv_n5),
    "precomputed": ("p", written.write_precomputed),
    "precomputed, sharded": ("q", _sharded),
    "precomputed, gzip": ("r", _gzipped),
    "Zarr in a ZIP archive": ("a.zip", written.write_zip),
    "Vaa3D": ("a.v3draw", _v3draw),
    "JPEG 2000": ("j", _pictures("jp2")),
    "JPEG XL": ("x", _pictures("jxl")),
}
NO_SIZE = {"Vaa3D", "JPEG 2000", "JPEG XL"}
"""Formats that state no voxel size."""


def read(source: object, **choices: Any) -> np.ndarray:
    volume = open_volume(find(str(source), **choices))
    return volume.read(Roi.whole(volume.shape))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_voxels_and_the_voxel_size_that_were_written(
    name: str, tmp_path: Path
) -> None:
    file, write = FORMATS[name]
    data = brain()
    spec = find(write(tmp_path / file, data))
    volume = pickle.loads(pickle.dumps(open_volume(spec)))
    assert volume.shape == SHAPE
    assert volume.dtype == np.uint16
    np.testing.assert_array_equal(volume.read(Roi.whole(SHAPE)), data)
    if name in NO_SIZE:
        assert volume.space.unit is None
    else:
        assert volume.space.voxel_size == pytest.approx(written.VOXEL)
        assert (volume.space.unit, volume.space.problem) == ("micrometer", "")
        assert volume.space.translation == (0.0, 0.0, 0.0)


@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
@pytest.mark.parametrize("name", FORMATS)
def test_any_region_is_that_of_the_whole(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    shape = tuple(data.draw(st.integers(2, 20)) for _ in range(3))
    chunks = tuple(data.draw(st.integers(3, 9)) for _ in range(3))
    voxels = np.random.default_rng(sum(shape)).integers(0, 250, shape).astype("u1")
    file, write = FORMATS[name]
    folder = tmp_path_factory.mktemp("any")
    volume = open_volume(
        find(write(folder / file, voxels, chunks=chunks), axes=_axes(name))
    )
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(
        data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)
    )
    roi = Roi(start, stop)  # type: ignore[arg-type]
    np.testing.assert_array_equal(volume.read(roi), voxels[roi.slices()])


def _axes(name: str) -> str:
    return {"Vaa3D": "czyx", "JPEG 2000": "zyx", "JPEG XL": "zyx"}.get(name, "")


@pytest.mark.parametrize("name", FORMATS)
def test_many_threads_read_what_one_reads(name: str, tmp_path: Path) -> None:
    file, write = FORMATS[name]
    data = brain()
    volume = open_volume(find(write(tmp_path / file, data)))
    rois = [Roi((z, y, 3), (z + 9, y + 20, 37)) for z in range(12) for y in (0, 20)]
    with ThreadPoolExecutor(8) as pool:
        for roi, part in zip(rois, pool.map(volume.read, rois), strict=True):
            np.testing.assert_array_equal(part, data[roi.slices()])


@pytest.mark.parametrize("name", FORMATS)
def test_a_change_of_any_file_is_noticed(name: str, tmp_path: Path) -> None:
    file, write = FORMATS[name]
    spec = find(write(tmp_path / file, brain()))
    before, files = fingerprint(spec), SourceFiles.of(spec)
    assert files is not None
    table = files.look()
    assert table is not None
    assert len(table.numbers) >= 1
    assert differences(before, fingerprint(spec)) == []
    blamed = files.file(int(table.numbers[-1]))
    assert blamed.is_file()
    os.utime(str(blamed), ns=(0, 1))
    now = files.look()
    assert now is not None
    assert len(table.changed(now)) == 1
    assert differences(before, fingerprint(spec)) != []
    if len(table.numbers) == 1 or files.single:
        assert files.box(0) == Roi.whole(SHAPE)


@pytest.mark.parametrize("name", FORMATS)
def test_info_describes_it(name: str, tmp_path: Path) -> None:
    file, write = FORMATS[name]
    info = describe(write(tmp_path / file, brain()))
    assert info.taken is not None
    assert info.taken.shape == SHAPE
    assert info.stored_bytes > 1000
    if name.startswith(("Imaris", "Big")):
        assert [array.level for array in info.arrays] == [0, 1]
        assert len(coarser_levels(info.taken.spec)) == 1


# Imaris


def test_imaris_channels_times_and_levels_are_chosen_as_elsewhere(
    tmp_path: Path,
) -> None:
    data = brain(shape=(2, 3, *SHAPE))
    path = written.write_imaris(tmp_path / "a.ims", data)
    with pytest.raises(VolumeError, match="choose one with --timepoint"):
        find(path, channel=0)
    for t, c in ((0, 0), (1, 2)):
        np.testing.assert_array_equal(read(path, timepoint=t, channel=c), data[t, c])
    coarse = find(path, level=1, channel=1, timepoint=0)
    np.testing.assert_array_equal(
        open_volume(coarse).read(Roi.whole((11, 23, 19))), data[0, 1, ::2, ::2, ::2]
    )
    space = open_volume(coarse).space
    assert space.voxel_size == pytest.approx([21 * 2 / 11, 45 / 2 / 23, 37 / 2 / 19])
    assert space.translation == pytest.approx(
        [(s - f) / 2 for s, f in zip(space.voxel_size, written.VOXEL, strict=True)]
    )
    with pytest.raises(VolumeError, match="--level 2 is not one of them"):
        find(path, level=2, channel=0, timepoint=0)


def _direct(
    encode: Callable[[bytes], bytes | bytearray], number: int
) -> Callable[..., None]:
    """Return what writes chunks through a filter that h5py lacks."""

    def put(group: h5py.Group, padded: np.ndarray, options: dict[str, Any]) -> None:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk(options["chunks"])
        created.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (0,))
        space = h5py.h5s.create_simple(padded.shape)
        dataset = h5py.h5d.create(
            group.id, b"Data", h5py.h5t.py_create(padded.dtype), space, dcpl=created
        )
        chunks = options["chunks"]
        for place in np.ndindex(
            *(n // c for n, c in zip(padded.shape, chunks, strict=True))
        ):
            start = tuple(p * c for p, c in zip(place, chunks, strict=True))
            box = tuple(slice(s, s + c) for s, c in zip(start, chunks, strict=True))
            dataset.write_direct_chunk(start, bytes(encode(padded[box].tobytes())))

    return put


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"compression": None},
        {"compression": None, "chunks": None},
        {"put": _direct(imagecodecs.lz4h5_encode, 32004)},
        {"put": _direct(imagecodecs.zstd_encode, 32015)},
    ],
    ids=["gzip", "checked", "lzf", "plain", "in one piece", "lz4", "zstd"],
)
def test_imaris_is_read_however_hdf5_packs_it(
    storage: dict[str, Any], tmp_path: Path
) -> None:
    data = brain()
    storage = dict(storage)
    if storage.pop("chunks", 0) is None:
        storage["put"] = lambda group, padded, _: group.create_dataset(
            "Data", data=padded
        )
    path = written.write_imaris(tmp_path / "a.ims", data, **storage)
    np.testing.assert_array_equal(read(path), data)


def test_chunks_that_hdf5_does_not_store_are_its_fill_value(tmp_path: Path) -> None:
    def put(group: h5py.Group, padded: np.ndarray, options: dict[str, Any]) -> None:
        array = group.create_dataset(
            "Data", shape=padded.shape, dtype=padded.dtype, fillvalue=7, **options
        )
        if group.name.startswith("/DataSet/ResolutionLevel 0"):
            array[16:, :16, :16] = padded[16:, :16, :16]

    path = written.write_imaris(tmp_path / "a.ims", brain(), put=put)
    expected = np.full(SHAPE, 7, "u2")
    expected[16:, :16, :16] = brain()[16:, :16, :16]
    np.testing.assert_array_equal(read(path), expected)
    assert np.all(read(path, level=1) == 7), "not one chunk is stored"


def test_hdf5_in_the_other_byte_order_is_read(tmp_path: Path) -> None:
    data = brain()
    path = written.write_imaris(tmp_path / "a.ims", data.astype(">u2"))
    np.testing.assert_array_equal(read(path), data)


def test_a_damaged_chunk_of_hdf5_is_named_with_its_file(tmp_path: Path) -> None:
    path = written.write_imaris(tmp_path / "a.ims", brain(), fletcher32=True)
    with h5py.File(path) as file:
        info = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"].id
        place = info.get_chunk_info_by_coord((16, 16, 16)).byte_offset
    with path.open("r+b") as stream:
        stream.seek(place + 50)
        stream.write(b"damage")
    volume = open_volume(find(path))
    with pytest.raises(CorruptDataError, match=r"chunk \(0, 0, 1, 1, 1\).*a\.ims"):
        volume.read(Roi.whole(SHAPE))
    volume.read(Roi((0, 0, 0), (16, 45, 37)))


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path: Path) -> None:
    written.write_imaris(tmp_path / "there.ims", brain())
    name = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"
    path = written.write_imaris(tmp_path / "link.ims", brain())
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = h5py.ExternalLink("there.ims", name)
    with pytest.raises(VolumeError, match=r"a link to the file 'there\.ims'"):
        find(path)
    path = written.write_imaris(tmp_path / "virtual.ims", brain())
    with h5py.File(path, "a") as file:
        del file[name]
        layout = h5py.VirtualLayout((32, 48, 48), "u2")
        layout[:] = h5py.VirtualSource("there.ims", name, (32, 48, 48))
        file.create_virtual_dataset(name, layout)
    with pytest.raises(VolumeError, match="lie in other files"):
        find(path)


def test_an_hdf5_file_that_somebody_else_has_open_is_read(tmp_path: Path) -> None:
    path = written.write_imaris(tmp_path / "a.ims", brain())
    with h5py.File(path, "r"):
        np.testing.assert_array_equal(read(path), brain())


def test_an_hdf5_of_another_layout_names_those_that_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exported_data"] = brain()
    with pytest.raises(VolumeError, match=r"HDF5 file of another layout.*h5py"):
        find(tmp_path / "a.h5")


def test_without_h5py_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written.write_imaris(tmp_path / "a.ims", brain())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"a\.ims.*blockseg\[hdf5\]"):
        find(path)


def _read_there(volume: Any, roi: Roi, queue: Any) -> None:
    queue.put(int(volume.read(roi).sum()))


def test_a_volume_that_was_read_is_read_in_a_forked_process(tmp_path: Path) -> None:
    path = written.write_imaris(tmp_path / "a.ims", brain())
    volume = open_volume(find(path))
    here = int(volume.read(Roi.whole(SHAPE)).sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    fresh = Roi((1, 0, 0), SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        process = context.Process(
            target=_read_there, args=(open_volume(find(path)), fresh, queue)
        )
        process.start()
    assert queue.get(timeout=300) == here - int(brain()[0].sum())
    process.join()


# BigDataViewer


def test_int16_of_bigdataviewer_is_uint16(tmp_path: Path) -> None:
    data = brain()
    assert data.max() > 2**15
    path = written.write_bdv(tmp_path / "a.xml", data)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["t00000/s00/0/cells"].dtype == np.int16
    np.testing.assert_array_equal(read(path), data)
    np.testing.assert_array_equal(read(path.with_suffix(".h5")), data)
    assert open_volume(find(path.with_suffix(".h5"))).space.unit == "micrometer"
    np.testing.assert_array_equal(read(path, level=1), data[:, ::2, ::2])
    coarse = open_volume(find(path, level=1)).space
    assert coarse.voxel_size == (2.0, 1.0, 1.0)
    assert coarse.translation == (0.0, 0.25, 0.25)


def test_int16_of_bigdataviewer_that_is_called_so_is_int16(tmp_path: Path) -> None:
    path = written.write_bdv(tmp_path / "a.xml", brain())
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["s00"].attrs["dataType"] = "int16"
    np.testing.assert_array_equal(read(path), brain().view("i2"))


def test_an_hdf5_of_bigdataviewer_without_xml_states_no_voxel_size(
    tmp_path: Path,
) -> None:
    path = written.write_bdv(tmp_path / "a.xml", brain())
    path.unlink()
    assert open_volume(find(tmp_path / "a.h5")).space.unit is None


def test_setups_and_time_points_are_chosen(tmp_path: Path) -> None:
    data = brain(shape=(3, *SHAPE)) // 2
    path = written.write_bdv(tmp_path / "a.xml", data, setups=2)
    with pytest.raises(VolumeError, match=r"2 images: setup0, setup1.*--dataset"):
        find(path)
    with pytest.raises(VolumeError, match=r"holds setup0 \(channel 0, channel 0\)"):
        find(path, dataset="setup7/left")
    chosen = read(path, dataset="setup1", timepoint=2)
    np.testing.assert_array_equal(chosen, data[2] + 1)


@pytest.mark.parametrize(
    ("affine", "said"),
    [
        ("0 -1 0 0 1 0 0 0 0 0 4 0", "turn or shear setup 0"),
        ("1 .1 0 0 0 1 0 0 0 0 4 0", "turn or shear setup 0"),
        ("-1 0 0 0 0 1 0 0 0 0 4 0", "flip setup 0"),
    ],
)
def test_a_registration_that_is_no_scale_is_said(
    affine: str, said: str, tmp_path: Path
) -> None:
    path = written.write_bdv(tmp_path / "a.xml", brain(), affine=affine)
    assert said in open_volume(find(path)).space.problem
    np.testing.assert_array_equal(read(path), brain())


def test_a_registration_that_moves_places_the_volume(tmp_path: Path) -> None:
    moved = "1 0 0 10 0 1 0 20 0 0 4 120"  # in voxels of 0.5 µm; z is 4 of them
    path = written.write_bdv(tmp_path / "a.xml", brain(), affine=moved)
    assert open_volume(find(path)).space.translation == pytest.approx((60, 10, 5))


def test_the_voxel_size_has_the_unit_of_the_project(tmp_path: Path) -> None:
    path = written.write_bdv(
        tmp_path / "a.xml", brain(), unit="nanometer", voxel=(2000, 500, 500)
    )
    assert open_volume(find(path)).space.voxel_size == (2.0, 0.5, 0.5)


# Neuroglancer precomputed


@pytest.mark.parametrize("suffix", [".gz", ".br", ".zstd"])
def test_chunks_named_by_their_compression_are_read(
    suffix: str, tmp_path: Path
) -> None:
    data = brain()
    path = written.write_precomputed(tmp_path / "p", data, voxel_offset=[5, 6, 7])
    np.testing.assert_array_equal(read(path), data)
    written.packed_like_cloud_volume(path, suffix)
    np.testing.assert_array_equal(read(f"precomputed://file://{path}"), data)
    place = open_volume(find(path)).space.translation
    assert place == pytest.approx((7 * 2, 6 * 0.5, 5 * 0.5))
    some = next(path.glob(f"*/*{suffix}"))
    some.unlink()
    assert np.count_nonzero(read(path) != data) <= 16**3, "the others are still read"


def test_encodings_of_precomputed_are_read(tmp_path: Path) -> None:
    data = brain("uint8")
    smooth = np.add.outer(np.arange(21), np.add.outer(np.arange(45), np.arange(37)))
    path = written.write_precomputed(
        tmp_path / "jpeg", smooth.astype("u1"), encoding="jpeg", jpeg_quality=98
    )
    assert np.abs(read(path).astype(int) - smooth).max() <= 4
    labels = (data % 5).astype("uint32")
    path = written.write_precomputed(
        tmp_path / "labels", labels, kind="segmentation",
        encoding="compressed_segmentation", compressed_segmentation_block_size=[8, 8, 8],
    )  # fmt: skip
    np.testing.assert_array_equal(read(path, mask=True), labels)
    written.packed_like_cloud_volume(path)
    np.testing.assert_array_equal(read(path, mask=True), labels)
    with pytest.raises(VolumeError, match="uint32 voxels"):
        find(path)


def test_scales_of_precomputed_are_levels(tmp_path: Path) -> None:
    data = brain()
    path = written.write_precomputed(tmp_path / "p", data)
    coarse = data[::2, ::2, ::2]
    written.write_precomputed(path, coarse, voxel=(4, 1, 1))
    np.testing.assert_array_equal(read(path, level=1), coarse)
    np.testing.assert_array_equal(read(path, dataset="1000_1000_4000"), coarse)
    space = open_volume(find(path, level=1)).space
    assert space.voxel_size == (4.0, 1.0, 1.0)
    assert space.translation == (1.0, 0.25, 0.25)


def test_a_precomputed_volume_without_its_chunks_is_refused(tmp_path: Path) -> None:
    from blockseg.core.choices import SourceChoices
    from blockseg.io.plausibility.checks import find_plausible

    path = written.write_precomputed(tmp_path / "p", np.maximum(brain(), 1))
    found = find_plausible(str(path), SourceChoices())
    assert not any("missing" in line for line in found.remarks)
    for file in sorted(path.glob("500*/*"))[:6]:
        file.unlink()
    found = find_plausible(str(path), SourceChoices())
    assert any("6 of its 18 chunks" in line for line in found.remarks)
    for file in path.glob("500*/*"):
        file.unlink()
    with pytest.raises(VolumeError, match="none of its 18 chunks"):
        find_plausible(str(path), SourceChoices())


# ZIP


def test_an_archive_may_hold_one_folder_with_all_in_it(tmp_path: Path) -> None:
    data = brain()
    written.write_ome_zarr(tmp_path / "brain.zarr", data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted((tmp_path / "brain.zarr").rglob("*")):
            archive.write(file, file.relative_to(tmp_path))
    np.testing.assert_array_equal(read(tmp_path / "a.zip"), data)
    np.testing.assert_array_equal(read(tmp_path / "a.zip/brain.zarr/0"), data)
    with pytest.raises(VolumeError, match="neither a Zarr array nor a group"):
        find(tmp_path / "a.zip/brain.zarr/7")


def test_an_archive_with_a_name_twice_is_read_by_its_last(tmp_path: Path) -> None:
    data = brain()
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        array = zarr.create_array(
            store, shape=SHAPE, chunks=(16, 16, 16), dtype="u2",
            dimension_names=("z", "y", "x"),
        )  # fmt: skip
        array[:] = data // 2
        with pytest.warns(UserWarning, match="Duplicate name"):
            array[:] = data
    with pytest.raises(ValueError, match="Duplicate"):
        ts.open(
            {"driver": "zarr3", "kvstore": f"file://{tmp_path}/a.zip|zip:"}
        ).result()
    np.testing.assert_array_equal(read(tmp_path / "a.zip"), data)


def test_an_archive_that_compresses_is_read_whole(tmp_path: Path) -> None:
    shape = (160, 160, 240)
    mask = np.ones(shape, "u1")  # which deflate makes a thousand times smaller
    array = zarr.create_array(
        tmp_path / "mask.zarr", shape=shape, chunks=shape, dtype="u1", compressors=None,
        dimension_names=("z", "y", "x"),
    )  # fmt: skip
    array[:] = mask
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "mask.zarr").rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(tmp_path / "mask.zarr"))
    np.testing.assert_array_equal(read(tmp_path / "a.zip"), mask)


# Vaa3D


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_vaa3d_raw_is_read_in_both_orders_and_both_headers(
    tmp_path: Path, dtype: str, order: Literal["<", ">"], wide: bool
) -> None:
    data = brain(shape=(2, *SHAPE)).astype(dtype)
    path = written.write_v3draw(tmp_path / "a.raw", data, order=order, wide=wide)
    np.testing.assert_array_equal(read(path, channel=1), data[1])
    with pytest.raises(VolumeError, match="2 channels; choose one with --channel"):
        find(path)


def test_a_vaa3d_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = written.write_v3draw(tmp_path / "a.v3draw", brain())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(VolumeError, match="header promises 37×45×21 voxels"):
        find(path)
    whole = written.write_v3draw(tmp_path / "b.v3draw", brain())
    volume = open_volume(find(whole))
    whole.write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(VolumeError, match="is truncated"):
        volume.read(Roi.whole(SHAPE))


# Pictures


@pytest.mark.parametrize("codec", ["jp2", "jxl"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_slices_of_pictures_are_read(codec: str, dtype: str, tmp_path: Path) -> None:
    data = brain(dtype)
    folder = written.write_slices(tmp_path / "s", data, codec)
    np.testing.assert_array_equal(read(folder), data)
    np.testing.assert_array_equal(read(f"{folder}/*.{codec}"), data)
    (folder / f"slice_0007.{codec}").unlink()
    with pytest.raises(VolumeError, match="1 is missing: 0007"):
        find(folder)
    data[7] = 0
    np.testing.assert_array_equal(read(folder, allow_gaps=True), data)


def test_a_slice_unlike_the_others_is_refused(tmp_path: Path) -> None:
    folder = written.write_slices(tmp_path / "s", brain())
    (folder / "slice_0003.jp2").write_bytes(
        imagecodecs.jpeg2k_encode(np.zeros((45, 36), "u2"), level=0)
    )
    with pytest.raises(VolumeError, match=r"slice_0003\.jp2 is jpeg2000 of 45×36"):
        find(folder)
    colours = np.zeros((45, 36, 3), "u1")
    for file in folder.iterdir():
        file.write_bytes(imagecodecs.jpeg2k_encode(colours, level=0))
    with pytest.raises(VolumeError, match="3 colours"):
        find(folder)


def test_a_slice_that_is_no_file_is_named(tmp_path: Path) -> None:
    folder = written.write_slices(tmp_path / "s", brain())
    at = folder / "slice_0099.jp2"
    for number, make in enumerate((os.mkfifo, os.mkdir, lambda at: at.symlink_to(at))):
        make(at)
        with pytest.raises(VolumeError, match=r"slice_0099\.jp2 is named like a slice"):
            find(folder)
        at.rename(tmp_path / f"{number}")


@pytest.mark.parametrize("compression", ["jpeg2000", "jpegxl"])
def test_tiff_of_such_pictures_is_read(compression: str, tmp_path: Path) -> None:
    data = brain()
    tifffile.imwrite(
        tmp_path / "a.tif", data, compression=compression, metadata={"axes": "ZYX"},
        compressionargs={"level": 0, "reversible": True}
        if compression == "jpeg2000"
        else {"lossless": True},
    )  # fmt: skip
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), data)


# OME-Zarr 0.6


def test_ome_zarr_0_6_is_read_as_far_as_it_is_settled(tmp_path: Path) -> None:
    data = brain()
    zarr.create_array(
        tmp_path / "a.zarr/0", shape=SHAPE, chunks=(16, 16, 16), dtype="u2"
    )[:] = data
    systems = [
        {
            "name": name,
            "axes": [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"],
        }
        for name in ("physical",)
    ]
    scale = {
        "type": "scale", "scale": list(written.VOXEL), "input": "0", "output": "physical",
    }  # fmt: skip
    multiscale = {
        "coordinateSystems": systems,
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    document = {
        "zarr_format": 3, "node_type": "group",
        "attributes": {"ome": {"version": "0.6", "multiscales": [multiscale]}},
    }  # fmt: skip
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(document))
    np.testing.assert_array_equal(read(tmp_path / "a.zarr"), data)
    assert open_volume(find(tmp_path / "a.zarr")).space.voxel_size == written.VOXEL
