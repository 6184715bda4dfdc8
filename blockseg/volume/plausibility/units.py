"""A voxel size without a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.choices import SourceChoices
    from blockseg.core.specs import VolumeSpec
    from blockseg.volume.protocol import Volume

__all__ = ["states_no_unit"]


def states_no_unit(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> Iterator[str]:
    """Yield a line where nothing says what a voxel measures."""
    if choices.voxel_size is not None or volume.space.unit is not None:
        return
    z, y, x = (f"{size:g}" for size in volume.space.voxel_size)
    yield (
        f"{spec.uri} states no unit of its voxel size: {z},{y},{x} is written without "
        "one; give --voxel-size Z,Y,X in µm"
    )
