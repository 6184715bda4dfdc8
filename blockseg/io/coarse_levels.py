"""Coarser levels of the image that an array is the finest of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import to_zyx
from blockseg.io.formats.table import image_of
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import VolumeSpec


@dataclass(frozen=True, slots=True)
class CoarseLevel:
    """A level of an image and how much coarser it is."""

    spec: VolumeSpec
    """Volume of the level."""

    factors: Zyx
    """Voxels along (z, y, x) of the finer level that one of its voxels covers."""


def coarse_levels(spec: VolumeSpec) -> Iterator[CoarseLevel]:
    """Yield the levels of an image that are coarser than one of it, by their level.

    Levels count whose voxels each cover a whole number of finer ones; where they lie is
    told by that, and not by their metadata, in which many writers leave it out.

    Parameters
    ----------
    spec
        A level as it is stored.

    Raises
    ------
    VolumeError
        If the level cannot be opened; coarser ones that cannot be are left out.
    """
    if not spec.path:
        return
    for group in PurePosixPath(spec.path).parents:
        inner = "" if str(group) == "." else str(group)
        try:
            image = image_of(spec, inner)
        except VolumeError:
            continue
        if image is not None and any(one.path == spec.path for one in image.levels):
            break
    else:
        return
    shape = open_volume(replace(spec, downsample=(1, 1, 1))).shape
    for level in image.levels:
        if level.level <= spec.level:
            continue
        coarse = replace(
            spec,
            path=level.path,
            level=level.level,
            format=level.format,
            downsample=(1, 1, 1),
        )
        try:
            factors = _factors(shape, open_volume(coarse).shape)
        except VolumeError:
            continue
        if factors is not None:
            yield CoarseLevel(coarse, factors)


def _factors(fine: Zyx, coarse: Zyx) -> Zyx | None:
    factors = to_zyx(round(n / m) for n, m in zip(fine, coarse, strict=True))
    # Writers that halve leave out an odd voxel at the end, or keep it.
    fits = all(
        f >= 1 and m in (n // f, -(-n // f))
        for n, m, f in zip(fine, coarse, factors, strict=True)
    )
    return factors if fits else None
