"""Differences of two masks by the regions of an atlas."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.names import read_names
from blockseg.atlas.transform import read_transform
from blockseg.atlas.volume import Box, find_atlas
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import to_zyx
from blockseg.core.text import times
from blockseg.regions.inputs import refuse_apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.atlas.names import Region, RegionNames
    from blockseg.atlas.transform import Mapped, Transform
    from blockseg.atlas.volume import AtlasSpec
    from blockseg.config.regions_settings import CompareSettings
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space
    from blockseg.evaluation.prediction import Prediction

_AT_ONCE = 2**20  # voxels that are taken to the atlas at a time
_FIRST, _SECOND, _BOTH = 1, 2, 3


@dataclass(frozen=True, slots=True)
class RegionCount:
    """Voxels of two masks in one region."""

    region: Region
    """The region; of the id 0 what lies outside of all."""

    both: int
    """Voxels in both masks."""

    first: int
    """Voxels only in the first."""

    second: int
    """Voxels only in the second."""

    @property
    def changed(self) -> int:
        """Voxels that differ."""
        return self.first + self.second

    @property
    def dice(self) -> float:
        """Twice the common voxels over those of either; 1 where both are empty."""
        total = 2 * self.both + self.changed
        return 2 * self.both / total if total else 1.0


class RegionCounter:
    """Counts voxels of two masks by region, part by part; safe in several threads.

    Parameters
    ----------
    atlas
        The regions.
    transform
        Way to the atlas; None where both are in the same space.
    space
        Of the masks, in µm.
    names
        Of the regions.
    """

    def __init__(
        self,
        atlas: AtlasSpec,
        transform: Transform | None,
        space: Space,
        names: RegionNames,
    ) -> None:
        self._atlas = atlas.open()
        self._mapped: Mapped | None = None if transform is None else transform.open()
        self._space, self._names = space, names
        self._counts: defaultdict[int, NDArray[np.int64]] = defaultdict(
            lambda: np.zeros(4, np.int64)
        )
        self._lock = Lock()

    def __call__(
        self, roi: Roi, first: NDArray[np.bool_], second: NDArray[np.bool_]
    ) -> None:
        """Count a part of both masks, whose first voxel is that of ``roi``."""
        voxel = np.nonzero(first | second)
        kinds = _FIRST * first[voxel] + _SECOND * second[voxel]
        for begin in range(0, len(kinds), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            points = np.stack(
                [
                    t + s * (start + at[part])
                    for t, s, start, at in zip(
                        self._space.translation,
                        self._space.voxel_size,
                        roi.start,
                        voxel,
                        strict=True,
                    )
                ],
                axis=1,
            )
            if self._mapped is not None:
                points = self._mapped(points)
            regions, which = np.unique(self._atlas.at(points), return_inverse=True)
            found = np.zeros((len(regions), 4), np.int64)
            np.add.at(found, (which, kinds[part]), 1)
            with self._lock:
                for region, counts in zip(regions.tolist(), found, strict=True):
                    self._counts[region] += counts

    def counts(self) -> tuple[RegionCount, ...]:
        """Return all regions in which either mask has a voxel, most changed first."""
        found = [
            RegionCount(
                self._names.of(region),
                int(counts[_BOTH]),
                int(counts[_FIRST]),
                int(counts[_SECOND]),
            )
            for region, counts in self._counts.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.changed, one.region.region)))


def region_counter(
    settings: CompareSettings, prediction: Prediction
) -> RegionCounter | None:
    """Return a counter of regions, if the user names an atlas.

    Parameters
    ----------
    settings
        Where the atlas is.
    prediction
        One of both segmentations, which share a space.

    Raises
    ------
    ConfigError, VolumeError
        If the atlas is none, or it does not lie where the segmentations do.
    """
    if settings.atlas is None:
        if settings != type(settings)():
            message = "--atlas LABELS is needed for the other options about an atlas"
            raise ConfigError(message)
        return None
    space = prediction.space
    if space.unit is None:
        message = (
            f"{prediction.name} has no voxel size in µm, so its place in --atlas is not "
            "known; compare outputs of runs of a source with a voxel size"
        )
        raise ConfigError(message)
    image = Box.of(prediction.volume.shape, space)
    atlas = find_atlas(settings.atlas, settings.atlas_voxel_size)
    if settings.atlas_corner is not None:
        atlas = atlas.at(settings.atlas_corner)
    elif settings.transform is None and not atlas.placed:
        atlas = _as_large(atlas, image, prediction)
    transform = read_transform(
        settings.transform, image, settings.registered_corner, atlas
    )
    refuse_apart(image, atlas, transform)
    return RegionCounter(atlas, transform, space, read_names(settings.names))


def _as_large(atlas: AtlasSpec, image: Box, prediction: Prediction) -> AtlasSpec:
    """Place an atlas that states no position over the image of its size."""
    sizes = atlas.space.voxel_size
    off = (abs(a - b) for a, b in zip(atlas.box.extent, image.extent, strict=True))
    if all(by <= size for by, size in zip(off, sizes, strict=True)):
        return atlas.at(image.start)
    shape: Zyx = to_zyx(prediction.volume.shape)
    message = (
        f"--atlas: a TIFF does not say where it lies, and it is not as large as the "
        f"{times(shape)} voxels of {prediction.name}; give --atlas-corner Z,Y,X in µm, or "
        "--transform if it has a space of its own"
    )
    raise ConfigError(message)
