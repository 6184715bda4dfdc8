"""Holes of a volume: voxels that hold no data, and how they are recognised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi


@dataclass(frozen=True, slots=True)
class HoleRule:
    """Rule that says which flat regions and repeated planes of a volume may be no data.

    Decided once, from the sample of the volume. With it, whether a voxel is no data
    depends on the voxels around it and on nothing else.
    """

    level: float = 0.0
    """Level of the background, in grey levels."""

    flat: bool = True
    """Whether flat regions may be holes; not of volumes that are mostly flat."""

    usual: tuple[float, ...] = ()
    """Grey levels that most of the volume has: its background, and no hole."""

    usual_nan: bool = False
    """Whether most of the volume is NaN or infinite."""

    repeats: bool = True
    """Whether a plane that repeats the one before it is no data."""

    def holds(self, grey: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for each grey level whether a flat region of it may be a hole."""
        if not self.flat:
            return np.zeros(grey.shape, bool)
        found = np.ones(grey.shape, bool)
        for value in self.usual:
            found &= grey != value
        if self.usual_nan:
            found &= np.isfinite(grey)
        return found

    def to_plain(self) -> dict[str, Any]:
        """Return the rule as JSON values."""
        return {**asdict(self), "usual": list(self.usual)}

    @classmethod
    def from_plain(cls, data: dict[str, Any] | None) -> HoleRule | None:
        """Return a rule as it was before it was written as JSON values."""
        if data is None:
            return None
        return cls(**{**data, "usual": tuple(float(v) for v in data["usual"])})


@dataclass(frozen=True, slots=True)
class Hole:
    """A connected region without data, or the part of one in a block."""

    roi: Roi
    """Box around it, in the volume's coordinates."""

    voxels: int
    """Number of them that hold no data."""
