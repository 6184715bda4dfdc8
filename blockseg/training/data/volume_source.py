"""Patches from annotated volumes, read as they are needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.io.open import open_volume
from blockseg.io.protocol import MemoryVolume, Volume
from blockseg.normalization.affine import normalize
from blockseg.training.annotations.labels import LabelCodes, ringed
from blockseg.training.data.augment import augmented
from blockseg.training.data.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.specs import Affine, AffineField
    from blockseg.training.data.annotated_volumes import LabelledImage
    from blockseg.training.data.augment import Scale
    from blockseg.training.data.data import DataConfig
    from blockseg.training.data.scan import AnnotationIndex

_HELD = 2**28  # bytes of small volumes that a process keeps decoded


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRegion:
    """The part of an annotated volume that training may read."""

    image: LabelledImage
    """The volume."""

    domain: Roi
    """No voxel outside of it is read."""

    index: AnnotationIndex
    """Index of the annotation in the domain."""

    affine: Affine | AffineField
    """Normalisation of the volume."""

    scale: Scale
    """Scale that augmentation needs to know."""


class OpenAnnotation:
    """An annotated volume, open for reading.

    Parameters
    ----------
    image
        The volume.
    codes
        What the values of the annotation mean.
    """

    def __init__(self, image: LabelledImage, codes: LabelCodes) -> None:
        self.image: Volume = open_volume(image.image)
        self.labels: Volume = open_volume(image.labels)
        self._codes = codes

    def held(self) -> OpenAnnotation:
        """Decode all of it once, and keep it in memory."""
        self.image, self.labels = _held(self.image), _held(self.labels)
        return self

    def stored(self, roi: Roi) -> NDArray[np.generic]:
        """Return the values of the annotation of a region, as they are stored."""
        return self.labels.read(roi)

    def codes(self, roi: Roi) -> NDArray[np.uint8]:
        """Return 0, 1 or ``IGNORE`` for each voxel of a region."""
        return self._codes.codes(self.labels.read(roi))

    def read(
        self, roi: Roi, affine: Affine | AffineField
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a region, normalised as a run does it, with its target.

        Voxels that are NaN or infinite are background in the image and ignored in the
        target.
        """
        raw = self.image.read(roi)
        image = np.empty(roi.shape, np.float32)
        normalize(raw, affine, image, roi.start)
        target = self.codes(roi)
        if raw.dtype.kind == "f":
            target[~np.isfinite(raw)] = IGNORE
        return image, target


class VolumePatches:
    """Patches of a set of annotated volumes.

    First it is drawn whether a patch shall hold neurites, then a volume that can give
    one, each with the same chance, then a place in it.

    Small volumes are kept in memory, up to 256 MiB a process; of others, only what a
    patch needs is read. May be pickled, and opens its files in the process that reads.

    Parameters
    ----------
    regions
        Where to draw from; each with annotated voxels.
    config
        What annotations mean, and what patches are like.
    """

    def __init__(self, regions: Sequence[TrainingRegion], config: DataConfig) -> None:
        self._regions, self._config = tuple(regions), config
        self._codes = LabelCodes(config.label_map)
        self._samplers = [
            Sampler(
                region.index,
                region.domain,
                patch=config.patch,
                min_foreground=config.min_foreground,
            )
            for region in self._regions
        ]
        self._any = range(len(self._regions))
        holding = [n for n in self._any if self._samplers[n].has_neurites]
        self._holding = holding or self._any
        self._opened: dict[int, OpenAnnotation] = {}
        self._held = 0
        self._process = os.getpid()

    def patch(
        self, number: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a normalised image and its target, each (z, y, x).

        Parameters
        ----------
        number
            Of the patch; only ``rng`` decides what it is.
        rng
            Draws it.
        """
        del number
        config = self._config
        empty = rng.uniform() < config.background_share
        among = self._any if empty else self._holding
        chosen = among[int(rng.integers(len(among)))]
        region, opened = self._regions[chosen], self._open(chosen)
        roi = self._samplers[chosen].draw(opened.codes, rng, empty=empty)
        inside = roi.intersection(region.domain)
        # Clipped only after augmentation, which moves what the clip would cut.
        image, target = opened.read(inside, region.affine)
        image, target = augmented(
            config.augmentation,
            _padded(image, config.patch, 0),
            _padded(target, config.patch, IGNORE),
            region.scale,
            rng,
        )
        return np.clip(image, *config.clip), ringed(target) if config.ring else target

    def _open(self, number: int) -> OpenAnnotation:
        if self._process != os.getpid():  # files do not survive a fork
            self._process, self._held = os.getpid(), 0
            self._opened.clear()
        if number not in self._opened:
            opened = OpenAnnotation(self._regions[number].image, self._codes)
            volumes = (opened.image, opened.labels)
            size = sum(Roi.whole(v.shape).size * v.dtype.itemsize for v in volumes)
            if self._held + size <= _HELD:
                self._held += size
                opened.held()
            self._opened[number] = opened
        return self._opened[number]

    def __getstate__(self) -> object:
        return {**self.__dict__, "_opened": {}, "_held": 0}


def _held(volume: Volume) -> Volume:
    return MemoryVolume(volume.read(Roi.whole(volume.shape)), volume.space)


def _padded(part: NDArray[Any], edge: int, value: int) -> NDArray[Any]:
    """Return a cube of which a smaller part is given, at its lower corner."""
    return np.pad(part, [(0, edge - n) for n in part.shape], constant_values=value)
