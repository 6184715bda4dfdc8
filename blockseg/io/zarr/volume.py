"""Zarr v2 and v3 volumes: by tensorstore, or zarr-python for a codec more."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.json_text import MALFORMED
from blockseg.io.chunks.read_again import read_again
from blockseg.io.chunks.tensorstores import OPENING_ERRORS, ReadLimits, open_read_only
from blockseg.io.chunks.volume import ChunkedVolume, one_line
from blockseg.io.formats.zipped import ZipPath, is_zip, require_unpackable
from blockseg.io.zarr.codec_keys import plain_metadata, unknown_codec_keys
from blockseg.io.zarr.layout import zarr_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.axes import Index
    from blockseg.io.chunks.tensorstores import BeginRead
    from blockseg.io.layout import ArrayLayout

_SPARE = 2**20  # bytes that an encoded chunk may take beyond its voxels: an index


def open_zarr(spec: VolumeSpec, limits: ReadLimits | None = None) -> ChunkedVolume:
    """Open a Zarr array read-only.

    Raises
    ------
    VolumeError
        If it is gone, damaged, or encoded as none of the libraries can read.
    """
    container = ZipPath(spec.uri) if is_zip(spec.uri) else Path(spec.uri)
    image = zarr_image(container, spec.path)
    if image is None or image.path != image.levels[0].path:
        message = f"{Path(spec.uri) / spec.path} is not a Zarr array"
        raise VolumeError(message)
    array, limits = image.levels[0], limits or ReadLimits()
    return ChunkedVolume(spec, array, _open_array, open_zarr, limits)


def _open_array(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
    folder = layout.folder
    if isinstance(folder, ZipPath):
        return _from_archive(layout, folder, limits)
    try:
        return _tensorstore(layout, limits)
    except (*OPENING_ERRORS, *MALFORMED) as error:
        reader = _zarr_python(layout)
        if reader is None:
            raise VolumeError(_why_not(layout, error)) from error
        return reader


def _from_archive(
    layout: ArrayLayout, folder: ZipPath, limits: ReadLimits
) -> BeginRead:
    itemsize = 1 if layout.dtype is None else layout.dtype.itemsize
    require_unpackable(folder, 2 * math.prod(layout.files) * itemsize + _SPARE)
    # tensorstore takes members for missing that deflate has made 1024 times smaller, and
    # refuses archives that hold a name twice, as zarr-python's own may.
    if not folder.packed:
        try:
            return _tensorstore(layout, limits)
        except (*OPENING_ERRORS, *MALFORMED):
            pass
    reader = _zarr_python(layout)
    if reader is None:
        message = (
            f"{layout.name} cannot be opened, codecs {', '.join(layout.codecs) or 'none'}; "
            "unpack the archive with unzip, and give the folder"
        )
        raise VolumeError(message, str(folder.archive))
    return reader


def _tensorstore(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
    driver = "zarr" if layout.format == "zarr2" else "zarr3"
    try:
        return open_read_only(driver, layout.folder, limits)
    except OPENING_ERRORS:
        plain = plain_metadata(layout)
        if not plain:
            raise
        return open_read_only(driver, layout.folder, limits, metadata=plain)


def _why_not(layout: ArrayLayout, error: Exception) -> str:
    unknown = unknown_codec_keys(layout)
    if unknown:
        return (
            f"{layout.name} cannot be opened: no library here knows "
            f"{', '.join(unknown)} among the settings of its codecs; take it out of "
            "zarr.json if it changes nothing in the chunks"
        )
    return (
        f"{layout.name} cannot be opened, codecs "
        f"{', '.join(layout.codecs) or 'none'}: {one_line(error)}"
    )


def _store(folder: Path) -> tuple[Any, str]:
    """Return the store that holds an array, and the array's path in it."""
    if not isinstance(folder, ZipPath):
        return folder, ""
    from zarr.storage import ZipStore

    return ZipStore(folder.archive, mode="r"), folder.member


def _zarr_python(layout: ArrayLayout) -> BeginRead | None:
    import zarr

    version = 2 if layout.format == "zarr2" else 3
    store, path = _store(layout.folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # codecs outside the specification
            array: Any = zarr.open_array(
                store,
                path=path,
                mode="r",
                zarr_format=version,  # type: ignore[arg-type]
            )
    except Exception:  # noqa: BLE001 - tensorstore's reason is the one to report
        return None

    def begin(index: Index) -> Callable[[], NDArray[Any]]:
        return lambda: read_again(lambda: np.asarray(array[index]))

    return begin
