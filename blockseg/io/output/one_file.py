"""A volume as one file for other programs: TIFF as ImageJ writes it, or NIfTI.

The one place that knows nibabel.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import tifffile

from blockseg.core.errors import ConfigError, MissingExtraError
from blockseg.io.output.atomic_files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space

_TIFF = (".tif", ".tiff")
_NIFTI = (".nii", ".nii.gz")
_MOST_OF_IMAGEJ = 2**32 - 2**16  # bytes of a TIFF with 32-bit offsets
_LONGEST = 2**15 - 1  # voxels of an axis of NIfTI


def check_one_file(path: Path, shape: Zyx, dtype: str) -> None:
    """Refuse a file that :func:`write_one_file` cannot write.

    Parameters
    ----------
    path
        File that is to be written.
    shape, dtype
        Of the volume.

    Raises
    ------
    ConfigError
        If its ending stands for no format, or the volume is too large for it.
    MissingExtraError
        If NIfTI is asked for and nibabel is not installed.
    """
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    name = path.name.lower()
    if name.endswith(_TIFF):
        if size > _MOST_OF_IMAGEJ:
            message = (
                f"{path} would have {size / 2**30:.3g} GiB, more than the 4 GiB that "
                "ImageJ's TIFF holds; choose a larger --voxel-size, or a file in .nii.gz"
            )
            raise ConfigError(message)
        return
    if not name.endswith(_NIFTI):
        message = (
            f"-o {path}: the ending says the format; give a name in .tif, .tiff, .nii or "
            ".nii.gz"
        )
        raise ConfigError(message)
    if max(shape) > _LONGEST:
        message = (
            f"{path}: NIfTI holds at most {_LONGEST} voxels an axis, not {max(shape)}; "
            "choose a larger --voxel-size"
        )
        raise ConfigError(message)
    if find_spec("nibabel") is None:
        message = "nibabel"
        raise MissingExtraError(message, "atlas")


def write_one_file(
    path: Path,
    planes: Iterable[NDArray[Any]],
    shape: Zyx,
    dtype: str,
    space: Space,
    name: str,
) -> None:
    """Write a volume plane by plane, in one step: a reader sees all of it or nothing.

    Parameters
    ----------
    path
        File to write; its ending says the format.
    planes
        Its planes (y, x), from the first to the last.
    shape, dtype
        Of the volume.
    space
        Voxel size and place of the first voxel's centre, in µm.
    name
        What it shows.

    Raises
    ------
    NoSpaceError, VolumeError
        If it cannot be written.
    """
    write = _write_tiff if path.name.lower().endswith(_TIFF) else _write_nifti
    with replacing(path) as part:
        write(part, path.name, planes, shape, dtype, space, name)


def _write_tiff(
    part: Path,
    _: str,
    planes: Iterable[NDArray[Any]],
    shape: Zyx,
    dtype: str,
    space: Space,
    name: str,
) -> None:
    z, y, x = space.voxel_size
    tz, ty, tx = space.translation
    with tifffile.TiffWriter(part, imagej=True) as tif:
        tif.write(
            iter(planes),
            shape=shape,
            dtype=dtype,
            resolution=(1 / x, 1 / y),
            metadata={
                "axes": "ZYX",
                "unit": "um",
                "spacing": z,
                # Pixels at which ImageJ has its origin of coordinates.
                "xorigin": -tx / x,
                "yorigin": -ty / y,
                "zorigin": -tz / z,
                "Info": (
                    f"{name}, made by blockseg; centre of the first voxel (z,y,x) at "
                    f"{tz!r},{ty!r},{tx!r} um; voxel size {z!r},{y!r},{x!r} um"
                ),
            },
        )


def _write_nifti(
    part: Path,
    file_name: str,
    planes: Iterable[NDArray[Any]],
    shape: Zyx,
    dtype: str,
    space: Space,
    name: str,
) -> None:
    import nibabel

    library: Any = nibabel
    header = library.Nifti1Header()
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(shape[::-1])
    header.set_slope_inter(1, 0)
    header.set_xyzt_units("mm")
    header["descrip"] = f"{name}, made by blockseg"[:79]
    header["vox_offset"] = header["sizeof_hdr"] + 4
    affine = np.eye(4)
    affine[:3, :3] = np.diag(space.voxel_size[::-1]) / 1000
    affine[:3, 3] = np.array(space.translation[::-1]) / 1000
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    with _opened(part, compressed=file_name.lower().endswith(".gz")) as file:
        file.write(header.binaryblock)
        file.write(bytes(4))  # no extensions
        # x runs fastest in NIfTI: the planes follow each other as they are.
        little = np.dtype(dtype).newbyteorder("<")
        for plane in planes:
            file.write(np.ascontiguousarray(plane, little).tobytes())


@contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if not compressed:
            yield file
            return
        # No name and no time inside: the same volume is the same bytes.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as inner:
            yield inner  # type: ignore[misc]
