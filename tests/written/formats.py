"""Volumes in the formats that laboratories have, written after what is published of them.

Voxels are arrays of axes (z, y, x), or (c, z, y, x) and (t, c, z, y, x) where that is said;
voxel sizes are µm along (z, y, x).
"""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING, Any, Literal

import h5py
import imagecodecs
import numpy as np
import tensorstore as ts
import zarr
from zarr.storage import ZipStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

VOXEL = (2.0, 0.5, 0.5)


def characters(value: object) -> np.ndarray:
    """Return an attribute as Imaris writes it: one character an element."""
    return np.frombuffer(str(value).encode(), "S1")


def write_imaris(
    path: Path,
    data: np.ndarray,
    *,
    levels: int = 2,
    chunks: tuple[int, ...] = (16, 16, 16),
    voxel: Sequence[float] = VOXEL,
    put: Callable[..., Any] | None = None,
    **storage: Any,
) -> Path:
    """Write (t, c, z, y, x), or (z, y, x), with padding that is no part of the image."""
    whole = data.reshape((1,) * (5 - data.ndim) + data.shape)
    with h5py.File(path, "w") as file:
        for level in range(levels):
            step = 2**level
            for t, c in np.ndindex(whole.shape[:2]):
                voxels = whole[t, c, ::step, ::step, ::step]
                group = file.create_group(
                    f"DataSet/ResolutionLevel {level}/TimePoint {t}/Channel {c}"
                )
                for axis, length in zip("ZYX", voxels.shape, strict=True):
                    group.attrs[f"ImageSize{axis}"] = characters(length)
                pad = [(0, -n % k) for n, k in zip(voxels.shape, chunks, strict=True)]
                padded = np.pad(voxels, pad, constant_values=np.array(99, data.dtype))
                options = {"chunks": chunks, "compression": "gzip", **storage}
                (put or _put)(group, padded, options)
        info = file.create_group("DataSetInfo/Image")
        info.attrs["Unit"] = characters("um")
        shape = whole.shape[2:]
        for i, axis in enumerate("XYZ"):
            n, size = shape[2 - i], voxel[2 - i]
            info.attrs[axis] = characters(n)
            info.attrs[f"ExtMin{i}"] = characters(0)
            info.attrs[f"ExtMax{i}"] = characters(n * size)
    return path


def _put(group: h5py.Group, padded: np.ndarray, options: dict[str, Any]) -> None:
    group.create_dataset("Data", data=padded, **options)


def write_bdv(
    path: Path,
    data: np.ndarray,
    *,
    affine: str = "",
    setups: int = 1,
    chunks: tuple[int, ...] = (16, 16, 16),
    unit: str = "µm",
    voxel: Sequence[float] = VOXEL,
) -> Path:
    """Write HDF5 and XML of (z, y, x), or (t, z, y, x) of uint16, as int16 like Java."""
    times = data.reshape((1,) * (4 - data.ndim) + data.shape)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_group("__DATA_TYPES__")
        for setup in range(setups):
            file[f"s{setup:02d}/resolutions"] = np.array([[1, 1, 1], [2, 2, 1]], float)
            file[f"s{setup:02d}/subdivisions"] = np.array([chunks[::-1]] * 2)
            for t, level in np.ndindex(len(times), 2):
                stored = times[t, :, :: 2**level, :: 2**level]
                if stored.dtype == np.uint16:
                    stored = np.ascontiguousarray(stored).view("i2")
                file.create_dataset(
                    f"t{t:05d}/s{setup:02d}/{level}/cells",
                    data=stored + setup if setup else stored,
                    chunks=tuple(map(min, chunks, stored.shape)),
                    compression="gzip",
                    shuffle=True,
                )
    loader = f'format="bdv.hdf5"><hdf5 type="relative">{path.stem}.h5</hdf5>'
    return write_bdv_xml(
        path, times.shape, loader, affine=affine, setups=setups, unit=unit, voxel=voxel
    )


def write_bdv_xml(
    path: Path,
    shape: Sequence[int],
    loader: str,
    *,
    affine: str = "",
    setups: int = 1,
    unit: str = "µm",
    voxel: Sequence[float] = VOXEL,
) -> Path:
    """Write the XML of a project of (t, z, y, x)."""
    size = " ".join(str(s) for s in reversed(voxel))
    views = "".join(
        f"<ViewSetup><id>{setup}</id><name>channel {setup}</name>"
        f"<size>{shape[3]} {shape[2]} {shape[1]}</size>"
        f"<voxelSize><unit>{unit}</unit><size>{size}</size></voxelSize>"
        f"<attributes><channel>{setup}</channel></attributes></ViewSetup>"
        for setup in range(setups)
    )
    matrices = "".join(
        f'<ViewRegistration timepoint="{t}" setup="{setup}"><ViewTransform type="affine">'
        f"<affine>{affine or '1 0 0 0 0 1 0 0 0 0 4 0'}</affine></ViewTransform>"
        "</ViewRegistration>"
        for t in range(shape[0])
        for setup in range(setups)
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<SpimData version="0.2">'
        '<BasePath type="relative">.</BasePath><SequenceDescription>'
        f"<ImageLoader {loader}</ImageLoader><ViewSetups>{views}</ViewSetups>"
        f'<Timepoints type="range"><first>0</first><last>{shape[0] - 1}</last>'
        f"</Timepoints></SequenceDescription><ViewRegistrations>{matrices}"
        "</ViewRegistrations></SpimData>",
        encoding="utf-8",
    )
    return path


SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 1,
    "minishard_bits": 1,
    "shard_bits": 2,
    "hash": "identity",
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}


def write_precomputed(
    path: Path,
    data: np.ndarray,
    *,
    chunks: tuple[int, ...] = (16, 16, 16),
    voxel: Sequence[float] = VOXEL,
    kind: str = "image",
    **scale: Any,
) -> Path:
    """Write (z, y, x) with tensorstore."""
    store = ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "multiscale_metadata": {
                "type": kind, "data_type": data.dtype.name, "num_channels": 1,
            },
            "scale_metadata": {
                "size": list(data.shape[::-1]),
                "chunk_size": list(chunks[::-1]),
                "resolution": [1000 * size for size in reversed(voxel)],
                "encoding": "raw",
                **scale,
            },
        },
        create=True,
    ).result()  # fmt: skip
    store[:] = data.T[..., None]
    return path


def packed_like_cloud_volume(path: Path, suffix: str = ".gz") -> Path:
    """Compress each chunk of a precomputed volume, and put it in the name."""
    encode: dict[str, Callable[[bytes], bytes | bytearray]] = {
        ".gz": gzip.compress,
        ".br": imagecodecs.brotli_encode,
        ".zstd": imagecodecs.zstd_encode,
    }
    for file in list(path.rglob("*")):
        if file.is_file() and file.name != "info":
            file.with_name(file.name + suffix).write_bytes(
                encode[suffix](file.read_bytes())
            )
            file.unlink()
    return path


def write_zip(
    path: Path,
    data: np.ndarray,
    *,
    chunks: tuple[int, ...] = (16, 16, 16),
    voxel: Sequence[float] = VOXEL,
) -> Path:
    """Write an OME-Zarr of (z, y, x) into an archive with zarr-python."""
    with ZipStore(path, mode="w") as store:
        write_ome_zarr(store, data, chunks=chunks, voxel=voxel)
    return path


def write_ome_zarr(
    store: Any,
    data: np.ndarray,
    *,
    chunks: tuple[int, ...] = (16, 16, 16),
    voxel: Sequence[float] = VOXEL,
) -> None:
    """Write an OME-Zarr 0.5 of one level."""
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    scale = [{"type": "scale", "scale": list(voxel)}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    multiscales = [{"axes": axes, "datasets": datasets}]
    group = zarr.create_group(
        store, attributes={"ome": {"version": "0.5", "multiscales": multiscales}}
    )
    array = group.create_array("0", shape=data.shape, chunks=chunks, dtype=data.dtype)
    array[:] = data


def write_v3draw(
    path: Path, data: np.ndarray, *, order: Literal["<", ">"] = "<", wide: bool = True
) -> Path:
    """Write (z, y, x) or (c, z, y, x) as Vaa3D's saveStack2Raw does."""
    whole = data.reshape((1,) * (4 - data.ndim) + data.shape)
    kind = {"uint8": 1, "uint16": 2, "float32": 4}[data.dtype.name]
    lengths = whole.shape[::-1]
    header = struct.pack(f"{order}h4{'i' if wide else 'h'}", kind, *lengths)
    voxels = whole.astype(whole.dtype.newbyteorder(order)).tobytes()
    mark = b"raw_image_stack_by_hpeng" + (b"L" if order == "<" else b"B")
    path.write_bytes(mark + header + voxels)
    return path


def write_slices(folder: Path, data: np.ndarray, codec: str = "jp2") -> Path:
    """Write (z, y, x) as lossless pictures."""
    folder.mkdir()
    for z, plane in enumerate(data):
        if codec == "jp2":
            picture = imagecodecs.jpeg2k_encode(plane, level=0, reversible=True)
        else:
            picture = imagecodecs.jpegxl_encode(plane, lossless=True)
        (folder / f"slice_{z:04d}.{codec}").write_bytes(picture)
    return folder
