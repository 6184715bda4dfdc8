"""A folder of small images, written at once: all of them are replaced, or none."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from blockseg.core.atomic_files import sync_folder
from blockseg.core.geometry import to_zyx
from blockseg.core.space import Space
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.create import create_output, predicted_files
from blockseg.io.output.metadata import bare_group
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.write_errors import write_error
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.output.written_files import stored_below
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.stored_file import StoredFile
    from blockseg.io.stores.location import Location

_AT_ONCE = 16  # objects that are sent side by side
_EDGE = 64  # of a shard


def write_metric_images(
    folder: Location,
    images: Mapping[str, NDArray[np.float32]],
    space: Space,
    *,
    zarr_format: Literal[2, 3],
    codec: str,
    beside: Path,
    checked: bool = True,
) -> tuple[StoredFile, ...]:
    """Write images as OME-Zarr groups in a folder, in place of what was there.

    Parameters
    ----------
    folder
        A plain Zarr group of the images, by their names.
    images
        Of one shape (z, y, x); NaN where nothing is known.
    space
        Of their voxels.
    zarr_format, codec, checked
        As in :class:`PyramidSpec`.
    beside
        Existing folder on the same file system where they are made before they
        take their place.

    Returns
    -------
    tuple
        What is to be remembered of the files, whose paths begin with the folder's name.

    Raises
    ------
    NoSpaceError
        If the disk is full; what was there before is still there.
    VolumeError
        If they cannot be written.
    """
    made, old = beside / f"{folder.name}.part", beside / f"{folder.name}.old"
    try:
        for leftover in (made, old):
            shutil.rmtree(leftover, ignore_errors=True)
        made.mkdir()
        name, text = bare_group(zarr_format)
        replace_file(made / name, text.encode())
        for name, image in images.items():
            spec = _spec(made / name, image.shape, space, zarr_format, codec)
            _write(replace(spec, checked=checked), image)
        # Here, where that reads a disk: a store would be asked for each.
        files = tuple(
            replace(file, path=f"{folder.name}/{file.path}")
            for file in stored_below(made, ".")
        )
        if isinstance(folder, RemotePath):
            _send(made, folder)
            return files
        if folder.exists():
            folder.replace(old)
        made.replace(folder)
        sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise write_error(error, str(folder)) from error
    return files


def _send(made: Path, folder: RemotePath) -> None:
    """Put a folder into a store; its own metadata last, which name the rest."""
    folder.delete_below()
    files = sorted(path for path in made.rglob("*") if path.is_file())

    def send(path: Path) -> None:
        (folder / path.relative_to(made).as_posix()).write_bytes(path.read_bytes())

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(send, (path for path in files if path.parent != made)))
    for path in made.iterdir():
        if path.is_file():
            send(path)
    shutil.rmtree(made, ignore_errors=True)


def predicted_metric_files(
    shape: Zyx, images: int, zarr_format: Literal[2, 3], codec: str
) -> int:
    """Return the largest number of files of such a folder."""
    spec = _spec(Path("/"), shape, Space(), zarr_format, codec)
    return 1 + images * predicted_files(spec)


def _spec(
    path: Path,
    shape: tuple[int, ...],
    space: Space,
    zarr_format: Literal[2, 3],
    codec: str,
) -> PyramidSpec:
    zyx = to_zyx(shape)
    return PyramidSpec(
        uri=str(path),
        shape=zyx,
        block=to_zyx(min(n, _EDGE) for n in zyx),
        dtype="float32",
        space=space,
        zarr_format=zarr_format,
        codec=codec,
        reduce="mean",
        name=path.name,
    )


def _write(spec: PyramidSpec, image: NDArray[np.float32]) -> None:
    known = image[np.isfinite(image)]
    if known.size:
        # Viewers that look for the extremes themselves stumble over NaN.
        low, high = float(known.min()), float(known.max())
        spec = replace(spec, window=(low, high if high > low else low + 1))
    create_output(spec)
    writer = PyramidWriter(spec)
    for block in spec.grid:
        roi = block.write_roi
        writer.write_block(roi, np.ascontiguousarray(image[roi.slices()]))
    for level, grid in spec.second_pass_grids():
        for block in grid:
            writer.write_level_block(level, block.index)
