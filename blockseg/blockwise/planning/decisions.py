"""Decisions that a run made by itself, as ``run.json`` keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.planning.engine_trials import (
    EngineTrials,
    trials_from,
)
from blockseg.blockwise.planning.sparse_plan import (
    SparsePlan,
    sparse_from,
)
from blockseg.core.geometry import Zyx, to_zyx
from blockseg.core.holes import HoleRule
from blockseg.core.specs import Affine, AffineField, BackendSpec
from blockseg.normalization.background_field import field_from, field_to_plain
from blockseg.normalization.finding import (
    BackgroundFinding,
    finding_from,
)

if TYPE_CHECKING:
    from blockseg.core.cubes import SkipCriteria


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

    whole: Affine
    """Normalisation of the volume as a whole."""

    background: BackgroundFinding
    """Origin of offset and scale."""

    field: AffineField | None = None
    """Normalisation where it varies over the volume; None where it does not."""

    empty: float | None = None
    """Grey level of a volume in whose sample nothing varies: such voxels are empty.

    Without noise there is no scale to judge by, and what a network says of a
    constant is of no use. Decided voxel by voxel, so blocks do not matter.
    """

    note: str = ""
    """Note for the user on a choice; empty if nothing."""

    sparse: SparsePlan | None = None
    """Parts that need not be inferred, and at what loss; None if not asked for."""

    trial: EngineTrials | None = None
    """Trials of engines on a device; None for work on the CPU."""

    holes: HoleRule | None = None
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
    def criteria(self) -> SkipCriteria | None:
        """Criteria of what need not be inferred; None if everything is."""
        return None if self.sparse is None else self.sparse.criteria

    @property
    def affine(self) -> Affine | AffineField:
        """The normalisation."""
        return self.field or self.whole

    def to_plain(self) -> dict[str, Any]:
        """Return them as JSON values: a part of the run's fingerprint."""
        whole, field, sparse = self.whole, self.field, self.sparse
        trial, holes = self.trial, self.holes
        return {
            "backend": self.backend,
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            "window": list(self.window),
            "block": list(self.block),
            "threshold": self.threshold,
            "offset": whole.offset,
            "scale": whole.scale,
            "clip": [whole.low, whole.high],
            "background": self.background.to_plain(),
            "field": None if field is None else field_to_plain(field),
            "empty": self.empty,
            "note": self.note,
            "sparse": None if sparse is None else sparse.to_plain(),
            "trial": None if trial is None else trial.to_plain(),
            "holes": None if holes is None else holes.to_plain(),
        }


def decisions_from(data: dict[str, Any]) -> Decisions:
    """Return decisions as they were before they were written as JSON values.

    Earlier versions knew fewer keys.
    """
    low, high = data["clip"]
    field, trial = data.get("field"), data.get("trial")
    return Decisions(
        backend=data["backend"],
        device=data["device"],
        precision=data["precision"],
        threads=data["threads"],
        window=to_zyx(data["window"]),
        block=to_zyx(data["block"]),
        threshold=data["threshold"],
        whole=Affine(data["offset"], data["scale"], low, high),
        background=finding_from(data["background"]),
        field=None if field is None else field_from(field, (low, high)),
        empty=data.get("empty"),
        note=data.get("note", ""),
        sparse=sparse_from(data.get("sparse")),
        trial=None if trial is None else trials_from(trial),
        holes=HoleRule.from_plain(data.get("holes")),
    )
