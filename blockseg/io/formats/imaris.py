"""Imaris files (``.ims``): HDF5 of padded arrays, and sizes written as characters.

After Bitplane's description of the Imaris 5.5 file format. Every level, time point and
channel is an array ``DataSet/ResolutionLevel R/TimePoint T/Channel C/Data``, axes (z, y, x),
stored up to the end of its last chunks; ``ImageSizeX`` and its like beside it say how much
of it is the image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.io.chunks.volume import ChunkedVolume
from blockseg.io.formats.hdf5 import begin_hdf5_reads, opened_hdf5
from blockseg.io.layout import MOST_LEVELS, ArrayLayout, ImageLayout, KeyStyle
from blockseg.io.units import space_of

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.chunks.tensorstores import BeginRead, ReadLimits
    from blockseg.io.formats.hdf5 import Dataset, Hdf5

_LEVEL = re.compile(r"ResolutionLevel (\d{1,3})", re.ASCII)
_MOST = 100_000  # time points or channels
_AXES = ("t", "c", "z", "y", "x")


def imaris_image(container: Path, path: str) -> ImageLayout | None:
    """Return the image of a file, or one of its levels as ``ResolutionLevel N``.

    Raises
    ------
    VolumeError
        If there is nothing of this name, or the file is damaged.
    """
    match = _LEVEL.fullmatch(path)
    if path and match is None:
        message = (
            f"{container} holds one image and no {path!r}; leave it out, and choose with "
            "--level, --channel and --timepoint"
        )
        raise VolumeError(message)
    with opened_hdf5(str(container)) as file:
        numbers = [int(match[1])] if match else _levels(file)
        extents = _Extents.of(file)
        levels = [_level(container, file, number, extents) for number in numbers]
    return ImageLayout(path, tuple(levels))


def imaris_images(container: Path, path: str = "") -> list[str]:  # noqa: ARG001 - as all
    """Return the only image of a file."""
    return [path]


def open_imaris(spec: VolumeSpec, limits: ReadLimits) -> ChunkedVolume:
    """Open one level, channel and time point of a file read-only.

    Raises
    ------
    VolumeError
        If it is gone, damaged, or packed by a filter that nothing here unpacks.
    """
    image = imaris_image(Path(spec.uri), spec.path)
    if image is None or not spec.path:
        message = f"{spec.uri} is no longer the Imaris file that it was"
        raise VolumeError(message)
    array = image.levels[0]
    chosen = _name(array.level, spec.timepoint, spec.channel)
    with opened_hdf5(spec.uri) as file:
        first = _data(file, _name(array.level, 0, 0), spec.uri)
        found = _data(file, chosen, spec.uri)
    if (found.shape, found.dtype, found.chunks) != (
        first.shape,
        first.dtype,
        first.chunks,
    ):
        message = (
            f"{spec.uri}: {chosen} is stored otherwise than the first channel of the first "
            "time point; export it alone"
        )
        raise VolumeError(message, spec.uri)

    def begin(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
        def name(lead: tuple[int, ...]) -> str:
            return _name(layout.level, lead[0], lead[1])

        return begin_hdf5_reads(spec.uri, found, name, limits)

    return ChunkedVolume(spec, array, begin, _reopened, limits)


def _reopened(spec: VolumeSpec) -> ChunkedVolume:
    from blockseg.io.chunks.tensorstores import ReadLimits

    return open_imaris(spec, ReadLimits())


@dataclass(frozen=True, slots=True)
class _Extents:
    """Place of the image in space, axes (z, y, x)."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    size: tuple[int, ...]
    """Voxels of the finest level; empty if that is not stated."""

    unit: str
    problem: str = ""

    @classmethod
    def of(cls, file: Hdf5) -> _Extents:
        group = "DataSetInfo/Image"
        size = [_whole(file.attribute(group, axis)) for axis in "ZYX"]
        stated = tuple(n for n in size if n is not None)
        unit = file.attribute(group, "Unit")
        try:
            low, high = (
                tuple(_number(file.attribute(group, f"{end}{i}")) for i in (2, 1, 0))
                for end in ("ExtMin", "ExtMax")
            )
        except (TypeError, ValueError):
            low = high = ()
        return cls(
            low,
            high,
            stated if len(stated) == 3 else (),
            unit if isinstance(unit, str) and unit else "um",
            "" if low else "its Imaris metadata state no extents that are numbers",
        )

    def space(self, shape: tuple[int, ...]) -> Space:
        """Return the space of a level, whose first voxel touches the lower corner.

        The finest level's first voxel lies at that corner, as other formats have it.
        """
        if self.problem:
            return Space(problem=self.problem)
        size = [(b - a) / n for a, b, n in zip(self.low, self.high, shape, strict=True)]
        finest = [
            (b - a) / n
            for a, b, n in zip(self.low, self.high, self.size or shape, strict=True)
        ]
        place = [
            a + (s - f) / 2 for a, s, f in zip(self.low, size, finest, strict=True)
        ]
        return space_of(size, place, [self.unit] * 3)


def _levels(file: Hdf5) -> list[int]:
    names = file.names("DataSet", 10 * MOST_LEVELS)
    found = sorted(int(m[1]) for m in map(_LEVEL.fullmatch, names) if m)
    return found[:MOST_LEVELS]


def _level(container: Path, file: Hdf5, level: int, extents: _Extents) -> ArrayLayout:
    where = f"DataSet/ResolutionLevel {level}"
    times = _counted(file, where, "TimePoint")
    channels = _counted(file, f"{where}/TimePoint 0", "Channel")
    data = _data(file, _name(level, 0, 0), str(container))
    group = f"{where}/TimePoint 0/Channel 0"
    found = [file.attribute(group, f"ImageSize{axis}") for axis in "ZYX"]
    shape = tuple(_whole(value) or 0 for value in found)
    if all(value is None for value in found):
        shape = (level == 0 and extents.size) or data.shape
    if len(data.shape) != 3 or any(
        not 0 < n <= have for n, have in zip(shape, data.shape, strict=True)
    ):
        message = (
            f"{container}: level {level} states an image of {shape} voxels (z, y, x) and "
            f"stores an array of {data.shape}; export it again"
        )
        raise VolumeError(message, str(container))
    return ArrayLayout(
        container=container,
        path=f"ResolutionLevel {level}",
        format="imaris",
        shape=(times, channels, *shape),
        dtype=data.dtype.newbyteorder("="),
        stored_dtype=data.dtype.name,
        chunks=(1, 1, *data.chunks),
        files=(times, channels, *shape),
        codecs=data.codecs,
        axes=_AXES,
        keys=KeyStyle(tuple(range(5))),
        space=extents.space(shape),
        level=level,
        together=(container,),
    )


def _data(file: Hdf5, name: str, path: str) -> Dataset:
    found = file.dataset(name)
    if found is None:
        message = f"{path} lacks {name}; the file is incomplete"
        raise VolumeError(message, path)
    return found


def _name(level: int, timepoint: int, channel: int) -> str:
    return (
        f"DataSet/ResolutionLevel {level}/TimePoint {timepoint}/Channel {channel}/Data"
    )


def _counted(file: Hdf5, group: str, kind: str) -> int:
    """Return the number of groups numbered from 0 without a gap; at least one."""
    names = set(file.names(group, _MOST))
    count = 0
    while f"{kind} {count}" in names:
        count += 1
    return max(1, count)


def _whole(value: Any) -> int | None:
    try:
        number = _number(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() and 0 < number < 2**62 else None


def _number(value: Any) -> float:
    if isinstance(value, str):
        return float(value)
    array = np.asarray(value, float)
    if array.size != 1:
        message = f"{value!r} is no number"
        raise ValueError(message)
    return float(array.ravel()[0])
