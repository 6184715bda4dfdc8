"""Description of what lies at a path, and of what a run would take from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tifffile

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.core.text import times
from blockseg.io.formats.bdv_project import read_project
from blockseg.io.formats.pictures import picture_files
from blockseg.io.formats.table import image_in, images_in, title_of
from blockseg.io.formats.zipped import is_zip
from blockseg.io.locate import locate
from blockseg.io.plausibility.checks import find_plausible
from blockseg.io.tiff.pages import page_chunk
from blockseg.io.tiff.series import open_tiff_file, read_image
from blockseg.io.tiff.slices import check_slices, slice_files, tiff_files

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.layout import ArrayLayout
    from blockseg.io.locate import Located

_LISTED = 50
_COUNTED = 100_000  # files whose sizes are added up


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """One stored array: a resolution level of an image."""

    path: str
    """Inside the container; empty if it is the container."""

    level: int
    """Resolution level, 0 the finest."""

    axes: str
    """One letter for each axis."""

    shape: tuple[int, ...]
    """Voxels along each axis."""

    dtype: str
    """Type of a voxel."""

    chunks: tuple[int, ...]
    """Voxels that are decoded as a whole."""

    shards: tuple[int, ...] | None
    """Voxels in one file where it holds several chunks, else None."""

    codecs: tuple[str, ...]
    """In the order of encoding."""

    space: Space
    """Voxel size and place."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Volume that a run would read without further options."""

    spec: VolumeSpec
    """Specification by which it is opened."""

    shape: Zyx
    """Voxels along (z, y, x)."""

    dtype: str
    """Type of a voxel."""

    space: Space
    """Voxel size and place."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Description of what lies at a path."""

    uri: str
    """Outermost container, file or slice folder; or the glob. Absolute."""

    format: str
    """In words."""

    arrays: tuple[ArrayInfo, ...]
    """Levels of all images, finest first; at most 50 images."""

    images: int
    """Number of images."""

    stored_bytes: int
    """On disk; a lower bound unless ``all_counted``."""

    all_counted: bool
    """Whether the sizes of all files were added up, not only of the first 100,000."""

    taken: Taken | None
    """Volume that a run would read; None if it would refuse."""

    refusal: str
    """Why a run would refuse, in one line; empty if it would not."""

    doubts: tuple[str, ...] = ()
    """Doubts about it, a line each."""

    remarks: tuple[str, ...] = ()
    """Remarks that are no cause for doubt, a line each."""

    def lines(self) -> list[str]:
        """Return the description for people to read."""
        bound = "" if self.all_counted else "more than "
        found = [
            self.uri,
            (
                f"  {self.format}, {bound}{_bytes(self.stored_bytes)} on disk, "
                f"{self.images} image{'s' * (self.images != 1)}"
            ),
        ]
        for array in self.arrays:
            shards = f", shards {times(array.shards)}" if array.shards else ""
            found.append(
                f"  {array.path or '.'}: level {array.level}, {array.axes} "
                f"{times(array.shape)} {array.dtype}, chunks {times(array.chunks)}{shards}, "
                f"{' '.join(array.codecs) or 'not compressed'}, {_size(array.space)}"
            )
        if self.taken is None:
            return [*found, f"  run would refuse: {self.refusal}"]
        taken = self.taken
        return [
            *found,
            (
                f"  run would take {taken.spec.path or 'all'}: {times(taken.shape)} "
                f"{taken.dtype}, {_size(taken.space)}"
            ),
            *(f"  but: {doubt}" for doubt in self.doubts),
            *(f"  note: {remark}" for remark in self.remarks),
        ]


def describe(
    uri: str | os.PathLike[str], choices: SourceChoices | None = None
) -> SourceInfo:
    """Describe what lies at a path; reads metadata, and of voxels no more than a sample.

    Parameters
    ----------
    uri
        As for :func:`find`.
    choices
        What the user says of it.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing of a known format.
    """
    text = os.fspath(uri)
    choices = choices or SourceChoices()
    located = locate(text)
    if located.kind == "tiff":
        name, arrays, images = _tiff(located)
    elif located.kind == "slices":
        name, arrays, images = _slices(located.uri, allow_gaps=choices.allow_gaps)
    else:
        name, arrays, images = _container(located, allow_gaps=choices.allow_gaps)
    taken, refusal = None, ""
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    try:
        found = find_plausible(text, choices)
        volume, doubts, remarks = found.volume, found.doubts, found.remarks
        space = choices.measured(volume.space)
        taken = Taken(found.spec, volume.shape, volume.dtype.name, space)
    except VolumeError as error:
        refusal = str(error)
    stored, complete = _stored(located)
    return SourceInfo(
        located.uri,
        name,
        tuple(arrays),
        images,
        stored,
        complete,
        taken,
        refusal,
        doubts,
        remarks,
    )


def _container(
    located: Located, *, allow_gaps: bool
) -> tuple[str, list[ArrayInfo], int]:
    kind, uri, inner = located.array_kind, located.uri, located.inner
    image = image_in(kind, uri, inner, allow_gaps=allow_gaps)
    paths = images_in(kind, uri, inner) if image is None else [inner]
    found = [image_in(kind, uri, path) for path in paths[:_LISTED]]
    layouts = [layout for image in found if image for layout in image.levels]
    name = title_of(layouts[0].format if layouts else kind)
    if is_zip(uri):
        name = f"{name} in a ZIP archive"
    return name, [_array(layout) for layout in layouts], len(paths)


def _array(layout: ArrayLayout) -> ArrayInfo:
    return ArrayInfo(
        path=layout.path,
        level=layout.level,
        axes="".join(layout.axes),
        shape=layout.shape,
        dtype=layout.stored_dtype if layout.dtype is None else layout.dtype.name,
        chunks=layout.chunks,
        shards=None
        if layout.together or layout.files == layout.chunks
        else layout.files,
        codecs=layout.codecs,
        space=layout.space,
    )


def _tiff(located: Located) -> tuple[str, list[ArrayInfo], int]:
    found = []
    with open_tiff_file(located.uri) as tif:
        names = [str(i) for i in range(len(tif.series))]
        kind = "BigTIFF" if tif.is_bigtiff else "TIFF"
        for name in names[:_LISTED]:
            levels = len(tif.series[int(name)].levels)
            for level in range(levels):
                image = read_image(tif, located.uri, name, level)
                page = image.pages[0]
                found.append(
                    ArrayInfo(
                        path=name if len(names) > 1 else "",
                        level=level,
                        axes="".join(image.axes),
                        shape=image.shape,
                        dtype=image.dtype.name,
                        chunks=page_chunk(page),
                        shards=None,
                        codecs=_tiff_codec(int(page.key.compression)),
                        space=image.space,
                    )
                )
    return kind, found, len(names)


def _slices(uri: str, *, allow_gaps: bool) -> tuple[str, list[ArrayInfo], int]:
    files = slice_files(uri, allow_gaps=allow_gaps)
    missing = files.count(None)
    page = check_slices(files)
    bits, kind, _ = page.pixel
    types = {1: "uint", 2: "int", 3: "float"}
    array = ArrayInfo(
        path="",
        level=0,
        axes="zyx",
        shape=(len(files), *page.shape[1:]),
        dtype=f"{types.get(kind, 'type ')}{bits}",
        chunks=(1, *page.shape[1:]),
        shards=None,
        codecs=_tiff_codec(page.compression),
        space=Space(),
    )
    lost = f" and {missing} missing" if missing else ""
    return f"{len(files) - missing} TIFF slices{lost}", [array], 1


def _tiff_codec(code: int) -> tuple[str, ...]:
    if code == 1:
        return ()
    known = {member.value: member.name for member in tifffile.COMPRESSION}
    return (known.get(code, f"code {code}").lower(),)


def _stored(located: Located) -> tuple[int, bool]:
    """Add up the sizes of files; say whether all of them were counted."""
    named = {"slices": tiff_files, "pictures": picture_files}.get(located.kind)
    if named is not None:
        return sum(Path(name).stat().st_size for name in named(located.uri)), True
    place = Path(located.uri)
    if located.kind == "bdv":
        place = read_project(place).data
    if place.is_file():
        return place.stat().st_size, True
    total = files = 0
    for folder, _, names in os.walk(place / located.inner):
        for name in names:
            if files >= _COUNTED:
                return total, False
            total += Path(folder, name).stat().st_size
            files += 1
    return total, True


def _size(space: Space) -> str:
    if space.problem:
        return "voxel size not readable"
    if space.unit is None and space.voxel_size == (1.0, 1.0, 1.0):
        return "voxel size not stated"
    unit = "µm" if space.unit else "(no unit)"
    return f"voxels of {'×'.join(f'{s:g}' for s in space.voxel_size)} {unit}"


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"
