"""Doubts about what the metadata state: sizes, units, numbers of slices."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.core.text import times
from blockseg.io.tiff.slices import slice_doubt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.choices import SourceChoices
    from blockseg.core.space import Vector
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_MOST_VOXELS = 10**16
"""A human brain at half a micrometre; more is a slip of the pen."""

_LEAST, _MOST = 0.01, 100.0  # µm, of a voxel of level 0


def has_sizes_that_fit(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> Iterator[str]:
    """Refuse shapes that no microscope gives."""
    del choices
    shape = times(volume.shape)
    if math.prod(volume.shape) > _MOST_VOXELS:
        message = (
            f"{spec.uri} states {shape} voxels, more than {_MOST_VOXELS:.0e}: its metadata "
            "are damaged; rewrite them"
        )
        raise VolumeError(message)
    yield from ()


def states_no_unit(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> Iterator[str]:
    """Yield a line where nothing says what a voxel measures.

    Raises
    ------
    VolumeError
        If what the source says of it cannot be read.
    """
    space = volume.space
    if choices.voxel_size is not None:
        return
    if space.problem:
        message = f"{spec.uri}: {space.problem}; give --voxel-size Z,Y,X in µm"
        raise VolumeError(message)
    if space.unit is not None:
        return
    written = space.binned(spec.downsample).voxel_size
    odd = f" (it says {space.stated_unit!r})" if space.stated_unit else ""
    yield (
        f"{spec.uri} states no unit of its voxel size{odd}: a result has voxels of "
        f"{_by(written)} without a unit, and no lengths or traces until --voxel-size "
        "Z,Y,X is given in µm, now or later to blockseg label"
    )


def is_of_no_microscope(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> Iterator[str]:
    """Yield a line where a unit is mistaken, as nanometres called micrometres are."""
    space = volume.space
    if choices.voxel_size is not None or space.unit is None:
        return
    if min(space.voxel_size) < _LEAST or max(space.voxel_size) > _MOST * 2**spec.level:
        yield (
            f"{spec.uri} states voxels of {_by(space.voxel_size)} µm, which is not the "
            "size of a microscope's; if the unit is wrong, give --voxel-size Z,Y,X in µm"
        )


def uneven_slices(
    spec: VolumeSpec,
    volume: Volume,  # noqa: ARG001 - names tell
    choices: SourceChoices,
) -> Iterator[str]:
    """Yield a line where the numbers of slices go in no equal steps."""
    if spec.format != "tiff" or choices.allow_gaps or Path(spec.uri).is_file():
        return
    doubt = slice_doubt(spec.uri)
    if doubt:
        yield doubt


def _by(size: Vector) -> str:
    return ",".join(f"{edge:g}" for edge in size)
