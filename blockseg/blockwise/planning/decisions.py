"""Decisions that a run made by itself, as ``run.json`` keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.sources.background import field_from
from blockseg.core.geometry import Zyx, to_zyx
from blockseg.core.holes import HoleRule
from blockseg.core.specs import Affine, BackendSpec

if TYPE_CHECKING:
    from blockseg.core.specs import AffineField

__all__ = ["Decisions", "decisions_from"]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions of a run; stored in ``run.json`` and reused on resume."""

    backend: str
    """Engine."""

    device: str
    """``cpu`` or ``cuda``."""

    precision: str
    """Precision of the arithmetic."""

    threads: int
    """Threads of one inference."""

    window: Zyx
    """Voxels that one call of the engine writes."""

    block: Zyx
    """Voxels of a block."""

    threshold: int
    """Smallest probability byte that is foreground."""

    offset: float
    """Grey level that the network sees as 0."""

    scale: float
    """Grey levels that the network sees as 1."""

    clip: tuple[float, float]
    """Least and greatest value that the network sees."""

    background: dict[str, Any]
    """Origin of offset and scale: b, s, counts, unreadable samples."""

    field: dict[str, Any] | None = None
    """Offset and scale where they vary over the volume, at the nodes of a grid."""

    empty: float | None = None
    """Grey level of a volume in whose sample nothing varies: such voxels are empty.

    Without noise there is no scale to judge by, and what a network says of a
    constant is of no use. Decided voxel by voxel, so blocks do not matter.
    """

    note: str = ""
    """Note for the user on a choice; empty if nothing."""

    sparse: dict[str, Any] | None = None
    """Parts that need not be inferred, and at what loss; None if not asked for."""

    trial: dict[str, Any] | None = None
    """Which engines were tried on a device, on what, and what came of each; None for
    work on the CPU."""

    holes: dict[str, Any] | None = None
    """Rule that tells voxels without data; None where nothing can be a hole, and of
    runs that were begun when nothing was."""

    def engine(self, weights: str) -> BackendSpec:
        """Return the engine for workers to build from ``weights``."""
        return BackendSpec(
            name=self.backend,
            weights=weights,
            core=self.window,
            precision=self.precision,  # type: ignore[arg-type]
            threads=self.threads,
            device=self.device,
        )

    @property
    def hole_rule(self) -> HoleRule | None:
        """Rule that tells holes; None if nothing does."""
        return HoleRule.from_plain(self.holes)

    @property
    def affine(self) -> Affine | AffineField:
        """The normalisation."""
        if self.field is not None:
            return field_from(self.field, self.clip)
        return Affine(self.offset, self.scale, *self.clip)


def decisions_from(data: dict[str, Any]) -> Decisions:
    """Return decisions as read back from ``run.json``."""
    zyx = {key: to_zyx(data[key]) for key in ("window", "block")}
    low, high = data["clip"]
    return Decisions(**{**data, **zyx, "clip": (low, high)})
