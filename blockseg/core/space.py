"""Place of voxels in space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

Vector: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Space:
    """The size of a voxel and the place of the first one, axes (z, y, x)."""

    voxel_size: Vector = (1.0, 1.0, 1.0)
    """Edge lengths of a voxel, in ``unit``."""

    unit: Literal["micrometer"] | None = None
    """Micrometres, or None where the source states no unit."""

    translation: Vector = (0.0, 0.0, 0.0)
    """Centre of the first voxel, in ``unit``."""

    problem: str = field(default="", compare=False)
    """Why the source's own statement cannot be used, where it cannot; the numbers above
    are then made up."""

    stated_unit: str = field(default="", compare=False)
    """Unit as the source calls it, where that is no length that is known."""

    def __post_init__(self) -> None:
        if not all(0 < size < float("inf") for size in self.voxel_size):
            message = f"voxel sizes must be positive and finite, not {self.voxel_size}"
            raise GeometryError(message)

    def measured(self, voxel_size: Vector) -> Space:
        """Return the space with a voxel size in µm that the user gave."""
        z, y, x = (
            t / old * new
            for t, old, new in zip(
                self.translation, self.voxel_size, voxel_size, strict=True
            )
        )
        return Space(voxel_size, "micrometer", (z, y, x))

    def cropped(self, start: Zyx) -> Space:
        """Return the space of the region whose first voxel is ``start``."""
        z, y, x = (
            t + s * n
            for t, s, n in zip(self.translation, self.voxel_size, start, strict=True)
        )
        return replace(self, translation=(z, y, x))

    def coarser(self, level: int) -> Space:
        """Return the space of level ``level``, halved on each axis that many times.

        A coarse voxel covers ``2^level`` fine ones an axis, so its centre lies
        ``(2^level - 1) / 2`` fine voxels further on.
        """
        return self.binned((2**level,) * 3)

    def binned(self, factors: Zyx) -> Space:
        """Return the space of voxels that each cover so many along (z, y, x)."""
        sz, sy, sx = (s * f for s, f in zip(self.voxel_size, factors, strict=True))
        tz, ty, tx = (
            t + s * (f - 1) / 2
            for t, s, f in zip(self.translation, self.voxel_size, factors, strict=True)
        )
        return replace(self, voxel_size=(sz, sy, sx), translation=(tz, ty, tx))
