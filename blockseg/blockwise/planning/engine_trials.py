"""Trials of engines on a device: on what, and what came of each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from blockseg.core.geometry import Roi, to_zyx
from blockseg.inference.engine_evaluation import EngineEvaluation


@dataclass(frozen=True, slots=True)
class EngineTrials:
    """Outcome of trying engines."""

    windows: tuple[Roi, ...]
    """Windows that they were tried on, in the volume's voxels."""

    devices: tuple[str, ...]
    """Names of the devices of the machine that planned the run."""

    tried: tuple[EngineEvaluation, ...]
    """Outcome of each, in the order in which they were tried."""

    spare: tuple[tuple[str, str], ...]
    """Backend and precision of what may take the chosen one's place in a worker."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user: what was given up here, and why."""
        said = [
            f"{one.backend} {one.precision} is not used: {one.why_not}"
            for one in self.tried
            if one.why_not and not one.unsuited
        ]
        said += [
            f"windows of {one.backend} {one.precision} are smaller than planned: {one.short}"
            for one in self.tried
            if one.short and not one.why_not
        ]
        return tuple(said)

    @property
    def problem(self) -> str:
        """Why none can be used, in one line."""
        return "; ".join(
            f"{one.backend} {one.precision}: {one.why_not}" for one in self.tried
        )

    def to_plain(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {
            "devices": list(self.devices),
            "windows": [[list(roi.start), list(roi.stop)] for roi in self.windows],
            "tried": [asdict(one) | {"window": list(one.window)} for one in self.tried],
            "spare": [list(engine) for engine in self.spare],
        }


def trials_from(data: dict[str, Any]) -> EngineTrials:
    """Return trials as they were before they were written as JSON values."""
    return EngineTrials(
        windows=tuple(Roi(to_zyx(a), to_zyx(b)) for a, b in data.get("windows", ())),
        devices=tuple(data.get("devices", ())),
        tried=tuple(
            EngineEvaluation(**{**one, "window": to_zyx(one["window"])})
            for one in data.get("tried", ())
        ),
        spare=tuple((name, precision) for name, precision in data.get("spare", ())),
    )
