"""Transform from a sample to its atlas, as a user names it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from blockseg.atlas.affine import AffineMap, read_affine
from blockseg.atlas.brainreg import is_brainreg, read_brainreg
from blockseg.atlas.deformation import FIELD_CACHE
from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.atlas.deformation import DeformationField
    from blockseg.atlas.volume import AtlasSpec, Box
    from blockseg.core.space import Vector

Mapped: TypeAlias = "Callable[[NDArray[np.float64]], NDArray[np.float64]]"
"""Maps places (n, 3), (z, y, x), from µm of the sample to µm of the atlas."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A map from µm of a sample to µm of an atlas, that any worker can open."""

    map: AffineMap | DeformationField
    """The map."""

    @property
    def step(self) -> float:
        """Length, in µm of the sample, over which it is taken for straight."""
        return math.inf if isinstance(self.map, AffineMap) else self.map.step

    @property
    def cache_bytes(self) -> int:
        """Memory that it keeps once it is open."""
        return 0 if isinstance(self.map, AffineMap) else FIELD_CACHE

    def open(self) -> Mapped:
        """Open it in this process."""
        return self.map if isinstance(self.map, AffineMap) else self.map.open()


def read_transform(
    path: str | None, image: Box, corner: Vector | None, atlas: AtlasSpec
) -> Transform | None:
    """Find the transform that a user names.

    Parameters
    ----------
    path
        Output folder of brainreg, or a file with an affine map; None for none.
    image
        Box of the segmented image, in µm.
    corner
        Lower corner of the image that was registered, where that is another one.
    atlas
        Atlas that it leads to.

    Raises
    ------
    ConfigError, VolumeError
        If there is none, or it is of another image.
    """
    if path is None:
        if corner is not None:
            message = (
                "--registered-corner says nothing without --transform; leave it out"
            )
            raise ConfigError(message)
        return None
    place = Path(path).expanduser()
    if place.is_dir():
        if is_brainreg(place):
            return Transform(read_brainreg(place, image, corner, atlas))
        message = (
            f"--transform {place} is a folder without deformation_field_0.tiff; give the "
            "output folder of brainreg, or a file with a 4×4 matrix"
        )
        raise ConfigError(message)
    if not place.exists():
        message = f"--transform {place} does not exist"
        raise ConfigError(message)
    if corner is not None:
        message = (
            "--registered-corner goes with the output of brainreg; an affine map takes µm "
            "of OUT as they are"
        )
        raise ConfigError(message)
    return Transform(read_affine(place))
