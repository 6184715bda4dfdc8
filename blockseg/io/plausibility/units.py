"""Voxel sizes that are not stated, not readable, or of no microscope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.choices import SourceChoices
    from blockseg.core.space import Vector
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_LEAST, _MOST = 0.01, 100.0  # µm, of a voxel of level 0


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
    odd = f" (it says {space.stated_unit!r})" if space.stated_unit else ""
    yield (
        f"{spec.uri} states no unit of its voxel size{odd}: {_by(space.voxel_size)} is "
        "written without one; give --voxel-size Z,Y,X in µm"
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


def _by(size: Vector) -> str:
    return ",".join(f"{edge:g}" for edge in size)
