"""Values of ``run.json`` that readers share, out of plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from blockseg.config.values import parse_roi
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.space import Space, Vector
from blockseg.core.specs import VolumeSpec


@dataclass(frozen=True, slots=True)
class RecordedPhase:
    """One pass over the blocks of a job."""

    name: str
    """Its name in the ledger."""

    blocks: int
    """Number of its blocks that mask and ROI leave."""

    grid: Zyx
    """Numbers of blocks along (z, y, x)."""

    @classmethod
    def of(cls, entry: dict[str, Any]) -> RecordedPhase:
        """Return the phase of an entry that has been checked."""
        return cls(entry["name"], entry["blocks"], to_zyx(entry["grid"]))


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """Volume that a job read."""

    spec: VolumeSpec
    """Specification by which it is found, with what the user said of it."""

    voxel_size: Vector
    """Edge lengths of a voxel along (z, y, x), in ``unit``."""

    unit: Literal["micrometer"] | None
    """Micrometres, or None where neither source nor user stated a unit."""

    translation: Vector
    """Centre of the first voxel, in ``unit``."""

    region: str | None
    """Region to read, as the user wrote it; None: all of it."""

    allow_empty: bool
    """Whether a source without stored voxels was taken, when the job last ran."""

    @classmethod
    def of(
        cls, request: dict[str, Any], execution: dict[str, Any]
    ) -> RecordedSource | None:
        """Return the source of a record that has been checked; None if it has none."""
        source = request["source"]
        if source is None:
            return None
        size, place = (
            (float(z), float(y), float(x))
            for z, y, x in (source["voxel_size"], source["translation"])
        )
        return cls(
            spec=_spec(source["spec"]),
            voxel_size=size,
            unit=source["unit"],
            translation=place,
            region=request["settings"].get("roi"),
            allow_empty=bool(execution.get("allow-empty")),
        )

    @property
    def roi(self) -> Roi | None:
        """Region to read; None: all of it."""
        return parse_roi("roi", self.region) if self.region else None

    @property
    def space(self) -> Space:
        """Voxel size and place."""
        return Space(self.voxel_size, self.unit, self.translation)


def _spec(kept: dict[str, Any]) -> VolumeSpec:
    factors = to_zyx(kept.get("downsample", (1, 1, 1)))
    return VolumeSpec(**kept | {"downsample": factors})
