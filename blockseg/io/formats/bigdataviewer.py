"""BigDataViewer projects: HDF5 or N5 with an XML beside it, and HDF5 without.

A view setup is an image, ``setup0`` and so on; its resolution levels and time points are
chosen as those of every image. Java has no unsigned numbers: int16 in these HDF5 files is
uint16, but where the setup's attribute ``dataType`` says ``int16``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.chunks.volume import ChunkedVolume
from blockseg.io.formats.bdv_project import read_project
from blockseg.io.formats.hdf5 import begin_hdf5_reads, opened_hdf5
from blockseg.io.layout import MOST_LEVELS, ArrayLayout, ImageLayout, KeyStyle
from blockseg.io.n5.layout import n5_image
from blockseg.io.n5.volume import open_n5_array
from blockseg.io.units import space_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.axes import Index
    from blockseg.io.chunks.tensorstores import BeginRead
    from blockseg.io.formats.bdv_project import Project
    from blockseg.io.formats.hdf5 import Dataset, Hdf5

_PATH = re.compile(r"setup(\d{1,6})(?:/timepoint(\d{1,9}))?(?:/s(\d{1,2}))?", re.ASCII)
_MOST = 100_000  # groups of an HDF5 file: a time point each
_SIZED = 1e-6  # share by which a matrix may differ from one of sizes alone


def bdv_image(container: Path, path: str) -> ImageLayout | None:
    """Return the setup at ``setup0``, or its level at ``setup0/s0``; None for the root.

    Raises
    ------
    VolumeError
        If there is no such setup or level, or metadata are damaged.
    """
    if not path:
        return None
    match = _PATH.fullmatch(path)
    project = read_project(container)
    if match is None:
        message = f"{container} has no {path!r}; it holds {_listed(project)}"
        raise VolumeError(message)
    setup, level = int(match[1]), None if match[3] is None else int(match[3])
    if project.stored == "n5":
        time = None if match[2] is None else int(match[2])
        return _n5(project, path, setup, time, level)
    with opened_hdf5(str(project.data)) as file:
        times = project.times or _times(file)
        levels = _levels(file, project, setup)
        number = levels if level is None else [one for one in levels if one[0] == level]
        if not number:
            message = f"{container} has no {path!r}; it holds {_listed(project)}"
            raise VolumeError(message)
        found = [_array(file, project, setup, times, one) for one in number]
    return ImageLayout(path, tuple(found))


def bdv_images(container: Path, path: str = "") -> list[str]:
    """Return the setups of a project, those of several time points in N5 one by one."""
    if path:
        return [path]
    project = read_project(container)
    if project.stored == "n5" and len(project.times) > 1:
        pairs = [(s, t) for s in sorted(project.setups) for t in project.times]
        return [f"setup{s}/timepoint{t}" for s, t in pairs]
    return [f"setup{number}" for number in _numbers(project)]


def open_bdv(spec: VolumeSpec, limits: ReadLimits) -> ChunkedVolume:
    """Open one level and time point of a setup read-only.

    Raises
    ------
    VolumeError
        If it is gone, damaged, or packed by a filter that nothing here unpacks.
    """
    image = bdv_image(Path(spec.uri), spec.path)
    if image is None or image.path != image.levels[0].path:
        message = f"{spec.uri} is no longer the project that it was"
        raise VolumeError(message)
    layout = image.levels[0]
    project = read_project(Path(spec.uri))
    if project.stored == "n5":
        return ChunkedVolume(spec, layout, open_n5_array, _reopened, limits)
    return _open_hdf5(spec, layout, project, limits)


def _open_hdf5(
    spec: VolumeSpec, layout: ArrayLayout, project: Project, limits: ReadLimits
) -> ChunkedVolume:
    setup = _setup_of(spec.path)
    data = str(project.data)
    with opened_hdf5(data) as file:
        times = project.times or _times(file)
        found = file.dataset(_cells(times[spec.timepoint], setup, layout.level))
        factors = dict(_levels(file, project, setup))[layout.level]
    if found is None or found.shape != layout.shape[1:]:
        message = (
            f"{spec.uri}: setup {setup} is missing at time point {times[spec.timepoint]}, or "
            "of another size than at the first; choose another --timepoint"
        )
        raise VolumeError(message, data)
    space = _space(project, setup, times[spec.timepoint], factors)

    def begin(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
        def name(lead: tuple[int, ...]) -> str:
            return _cells(times[lead[0]], setup, layout.level)

        stored = begin_hdf5_reads(data, found, name, limits)
        native = found.dtype.newbyteorder("=")
        known = layout.dtype is None or layout.dtype == native
        return stored if known else _as(stored, layout.dtype or native)

    return ChunkedVolume(spec, replace(layout, space=space), begin, _reopened, limits)


def _reopened(spec: VolumeSpec) -> ChunkedVolume:
    return open_bdv(spec, ReadLimits())


def _as(begin: BeginRead, dtype: np.dtype[Any]) -> BeginRead:
    """Return reads whose bits are taken for another type of the same size."""

    def begin_as(index: Index) -> Callable[[], NDArray[Any]]:
        wait = begin(index)

        def voxels() -> NDArray[Any]:
            read = wait()
            return read.astype(read.dtype.newbyteorder("="), copy=False).view(dtype)

        return voxels

    return begin_as


def _array(
    file: Hdf5,
    project: Project,
    setup: int,
    times: tuple[int, ...],
    level: tuple[int, tuple[float, ...]],
) -> ArrayLayout:
    number, factors = level
    data = _first(file, times, setup, number)
    if data is None or len(data.shape) != 3:
        message = (
            f"{project.data} lacks the voxels of setup {setup}, level {number}; the file is "
            "incomplete"
        )
        raise VolumeError(message, str(project.data))
    dtype = data.dtype.newbyteorder("=")
    # Newer projects say what their numbers are; of all others int16 is uint16.
    said = file.attribute(f"s{setup:02d}", "dataType")
    unsigned = np.dtype("uint16") if dtype == np.int16 and said != "int16" else dtype
    shape = (len(times), *data.shape)
    return ArrayLayout(
        container=project.file,
        path=f"setup{setup}/s{number}",
        format="bdv",
        shape=shape,
        dtype=unsigned,
        stored_dtype=dtype.name,
        chunks=(1, *data.chunks),
        files=shape,
        codecs=data.codecs,
        axes=("t", "z", "y", "x"),
        keys=KeyStyle((0, 1, 2, 3)),
        space=_space(project, setup, times[0], factors),
        level=number,
        metadata_files=() if project.file == project.data else (project.file,),
        together=(project.data,),
    )


def _first(
    file: Hdf5, times: tuple[int, ...], setup: int, level: int
) -> Dataset | None:
    """Return the voxels at the first time point that has any."""
    found = (file.dataset(_cells(time, setup, level)) for time in times[:_MOST])
    return next((one for one in found if one is not None), None)


def _n5(
    project: Project, path: str, setup: int, time: int | None, level: int | None
) -> ImageLayout:
    inner = f"setup{setup}/timepoint{project.times[0] if time is None else time}"
    image = n5_image(project.data, inner)
    arrays = () if image is None else image.levels
    chosen = [one for one in arrays if level is None or one.level == level]
    if not chosen:
        message = f"{project.file} has no {path!r}; {project.data} lacks it"
        raise VolumeError(message)
    finest = arrays[0].shape
    view = project.times[0] if time is None else time
    levels = []
    for one in chosen:
        factors = tuple(
            max(1, round(n / max(1, m))) for n, m in zip(finest, one.shape, strict=True)
        )
        known = project.setups.get(setup)
        stated = known is not None and known.voxel_size
        space = _space(project, setup, view, factors) if stated else one.space
        files = (project.file, *one.metadata_files)
        levels.append(replace(one, format="bdv", space=space, metadata_files=files))
    return ImageLayout(levels[0].path if level is not None else path, tuple(levels))


def _levels(
    file: Hdf5, project: Project, setup: int
) -> list[tuple[int, tuple[float, ...]]]:
    """Return number and factors (z, y, x) of each level of a setup."""
    table = file.numbers(f"s{setup:02d}/resolutions")
    if table is None or table.ndim != 2 or table.shape[1:] != (3,):
        message = f"{project.file} has no setup {setup}; it holds {_listed(project)}"
        raise VolumeError(message)
    factors = [tuple(float(n) for n in row[::-1]) for row in table[:MOST_LEVELS]]
    if not all(0 < n < float("inf") for row in factors for n in row):
        message = f"{project.data}: the resolutions of setup {setup} are no factors"
        raise VolumeError(message, str(project.data))
    return list(enumerate(factors))


def _space(
    project: Project, setup: int, time: int, factors: tuple[float, ...]
) -> Space:
    """Return the space of a level: sizes by the setup, the place by its registration."""
    known = project.setups.get(setup)
    if known is None or not known.voxel_size:
        return Space()
    size = list(known.voxel_size)
    place = [0.0, 0.0, 0.0]
    affine = project.affines.get((time, setup))
    if affine is not None:
        scales = np.diag(affine)[:3]
        if not np.all(np.isfinite(affine)) or np.any(
            np.abs(affine[:3, :3] - np.diag(scales)) > _SIZED * np.abs(scales).max()
        ):
            problem = (
                f"its ViewRegistrations turn or shear setup {setup} (time point {time}), and "
                "blockseg reads its voxels as they are stored"
            )
            return Space(problem=problem)
        if np.any(scales <= 0):
            return Space(problem=f"its ViewRegistrations flip setup {setup}")
        place = [
            float(t / s * n)
            for t, s, n in zip(affine[2::-1, 3], scales[::-1], size, strict=True)
        ]
    scale = [s * f for s, f in zip(size, factors, strict=True)]
    place = [t + s * (f - 1) / 2 for t, s, f in zip(place, size, factors, strict=True)]
    return space_of(scale, place, [known.unit] * 3)


def _numbers(project: Project) -> list[int]:
    if project.setups:
        return sorted(project.setups)
    with opened_hdf5(str(project.data)) as file:
        names = file.names("", _MOST)
    found = (re.fullmatch(r"s(\d{2,6})", name) for name in names)
    return sorted(int(m[1]) for m in found if m)


def _times(file: Hdf5) -> tuple[int, ...]:
    found = (re.fullmatch(r"t(\d{5,9})", name) for name in file.names("", _MOST))
    return tuple(sorted(int(m[1]) for m in found if m)) or (0,)


def _cells(time: int, setup: int, level: int) -> str:
    return f"t{time:05d}/s{setup:02d}/{level}/cells"


def _setup_of(path: str) -> int:
    match = _PATH.fullmatch(path)
    return -1 if match is None else int(match[1])


def _listed(project: Project) -> str:
    numbers = _numbers(project)
    shown = [
        f"setup{n}" + (f" ({project.setups[n].label})" if n in project.setups else "")
        for n in numbers[:12]
    ]
    more = f" and {len(numbers) - 12} more" if len(numbers) > 12 else ""
    return f"{', '.join(shown) or 'no setup'}{more}"
