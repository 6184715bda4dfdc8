"""Search for the 3-D volume that a path and a few choices name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.specs import VolumeSpec
from blockseg.io.axes import OPTIONS, AxisSelection, named_axes
from blockseg.io.axis_names import AxisNames, require_named
from blockseg.io.formats.pictures import picture_files
from blockseg.io.formats.table import image_in, images_in
from blockseg.io.layout import inner_path
from blockseg.io.locate import locate
from blockseg.io.open import open_volume
from blockseg.io.protocol import ConstantVolume
from blockseg.io.tiff.directory import check_file
from blockseg.io.tiff.series import open_tiff_file, read_image
from blockseg.io.tiff.slices import check_slices, require_planes, slice_files

if TYPE_CHECKING:
    import numpy as np

    from blockseg.core.geometry import Zyx
    from blockseg.io.layout import ArrayLayout
    from blockseg.io.locate import Located


IMAGE_DTYPES = ("uint8", "uint16", "int16", "float32")
_LISTED = 12


def find(
    uri: str | os.PathLike[str],
    *,
    level: int = 0,
    dataset: str | None = None,
    channel: int | None = None,
    timepoint: int | None = None,
    axes: str | None = None,
    stored_as: str | None = None,
    allow_gaps: bool | None = None,
    downsample: Zyx = (1, 1, 1),
    mask: bool = False,
    channel_option: str | None = None,
) -> VolumeSpec:
    """Find a 3-D volume, and check that it is complete and can be opened.

    Parameters
    ----------
    uri
        A Zarr v2 or v3 array or group, an OME-NGFF image, in a folder or a ZIP archive;
        an N5 container or dataset, an Imaris file, a BigDataViewer project, a Neuroglancer
        precomputed volume, a Vaa3D raw file, a TIFF file, a folder or a glob of 2-D slices;
        or a path inside one of these containers. ``constant://Z,Y,X/DTYPE/VALUE`` names a
        :class:`ConstantVolume`.
    level
        Resolution level, 0 the finest.
    dataset
        Path of an image inside the container; its number in a TIFF file.
    channel, timepoint
        Index on these axes; needed where they are longer than one.
    axes
        One letter for each axis, where the source names them wrongly or not at all.
    stored_as
        Type that the stored bits are, where the source states another.
    allow_gaps
        Whether planes missing from a folder of slices are read as empty; None where the
        user has no option to say so.
    downsample
        Stored voxels along (z, y, x) over which each voxel is the mean.
    mask
        Whether any type of number is welcome, and not only those of images.
    channel_option
        What chooses the channel, for messages; if not given ``--channel`` of images, and
        nothing of masks.

    Returns
    -------
    What :func:`open_volume` opens, with an absolute path.

    Raises
    ------
    VolumeError
        If there is no volume, or none that can be read; one line that says why
        and what to do.
    """
    text = os.fspath(uri)
    if text.startswith("constant://"):
        ConstantVolume.parse(text)
        return VolumeSpec(text, "memory", downsample=downsample)
    if level < 0:
        message = f"--level {level} is below 0, the finest level"
        raise VolumeError(message)
    located = locate(text)
    try:
        inside = inner_path(dataset or "")
    except ValueError as error:
        message = f"--dataset: {error}"
        raise VolumeError(message) from error
    asks = not (axes or mask)  # coarse masks may well have few planes
    if located.kind == "tiff":
        stated, shape = _tiff(located.uri, inside, level)
        spec = VolumeSpec(located.uri, "tiff", inside, level)
    elif located.kind == "slices":
        stated, shape = _slices(
            located.uri, inside, level, allow_gaps=allow_gaps, asks=asks
        )
        spec = VolumeSpec(located.uri, "tiff")
    else:
        array = _array(located, inside, level, allow_gaps=allow_gaps)
        if asks and located.kind == "pictures":
            require_planes(picture_files(located.uri), located.uri)
        stated, shape = array.axis_names or AxisNames.by_word(array.axes), array.shape
        spec = VolumeSpec(located.uri, array.format, array.path, array.level)
    if asks:
        require_named(stated, shape, _name(spec))
    names = named_axes(axes or "", stated.letters, _name(spec))
    selection = AxisSelection.choose(
        names,
        shape,
        channel=channel,
        timepoint=timepoint,
        where=_name(spec),
        mask=mask,
        options={"c": channel_option} if channel_option else {} if mask else OPTIONS,
    )
    chosen = {names[axis]: index for axis, index in selection.fixed}
    spec = replace(
        spec,
        channel=chosen.get("c", 0),
        timepoint=chosen.get("t", 0),
        axes=axes or "",
        stored_as=stored_as or "",
        allow_gaps=bool(allow_gaps),
        downsample=downsample,
    )
    _check_dtype(text, open_volume(spec).dtype, mask=mask)
    return spec


def _tiff(path: str, image: str, level: int) -> tuple[AxisNames, tuple[int, ...]]:
    check_file(path)
    with open_tiff_file(path) as tif:
        found = read_image(tif, path, image, level)
    return found.axis_names, found.shape


def _slices(
    uri: str, image: str, level: int, *, allow_gaps: bool | None, asks: bool
) -> tuple[AxisNames, tuple[int, ...]]:
    if image or level:
        message = f"{uri} are slices without datasets and levels; leave those out"
        raise VolumeError(message)
    files = slice_files(uri, allow_gaps=allow_gaps)
    page = check_slices(files)
    if asks:
        require_planes(files, uri)
    return AxisNames.by_word(("z", "y", "x")), (len(files), *page.shape[1:])


def _array(
    located: Located, dataset: str, level: int, *, allow_gaps: bool | None
) -> ArrayLayout:
    kind, uri, container = located.array_kind, located.uri, Path(located.uri)
    inner = "/".join(part for part in (located.inner, dataset) if part)
    image = image_in(kind, uri, inner, allow_gaps=allow_gaps)
    if image is None:
        inner = _only_one(images_in(kind, uri, inner), container / inner)
        image = image_in(kind, uri, inner)
    if image is None:  # gone since it was listed
        message = f"{container / inner} holds no image"
        raise VolumeError(message)
    levels = {array.level: array for array in image.levels}
    if level == 0 and image.path == image.levels[0].path:
        return image.levels[0]  # an array that was pointed at is what it is
    absent = {array.level: array for array in image.absent}
    if level in absent:
        known = ", ".join(f"--level {number}" for number in levels)
        message = f"{absent[level].reason}; {known} can be read"
        raise VolumeError(message)
    if level not in levels:
        known = ", ".join(str(number) for number in levels)
        message = (
            f"{container / image.path} has resolution levels {known}; "
            f"--level {level} is not one of them"
        )
        raise VolumeError(message)
    return levels[level]


def _only_one(paths: list[str], where: Path) -> str:
    if not paths:
        message = f"{where} is an empty group: there is no array in it"
        raise VolumeError(message)
    if len(paths) > 1:
        more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
        message = (
            f"{where} holds {len(paths)} images: {', '.join(paths[:_LISTED])}{more}; "
            "give the path of one of them, or --dataset"
        )
        raise VolumeError(message)
    return paths[0]


def _check_dtype(text: str, dtype: np.dtype[Any], *, mask: bool) -> None:
    if not mask and dtype.name not in IMAGE_DTYPES:
        other = "give --as uint8 if that is what they are, or " * (dtype.name == "int8")
        message = (
            f"{text} holds {dtype.name} voxels; {other}convert it to one of "
            f"{', '.join(IMAGE_DTYPES)}"
        )
        raise VolumeError(message)
    if mask and dtype.kind not in "buif":
        message = f"{text} holds {dtype.name} voxels, which make no mask"
        raise VolumeError(message)


def _name(spec: VolumeSpec) -> str:
    return str(Path(spec.uri) / spec.path) if spec.format != "tiff" else spec.uri
