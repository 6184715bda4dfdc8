"""Request and facts of a run, as ``run.json`` keeps them beside its decisions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.request import Request, deciding
from blockseg.config.settings import EXECUTION, RunSettings

if TYPE_CHECKING:
    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.grid import BlockGrid
    from blockseg.measurement.grey_scale import MeasuredCubes


def segmentation_request(inputs: Inputs) -> Request:
    """Return the settings and inputs that decide the result of a run."""
    weights = inputs.weights
    # Of weights and mask the content counts; a skipping run is told by what it skips.
    elsewhere = EXECUTION | {"weights", "mask", "sparse"}
    names = {field.name for field in fields(RunSettings)} - elsewhere
    sparse = {"sparse": True} if inputs.sparse else {}
    return Request(
        deciding(inputs.settings, names, halo=inputs.halo, **sparse),
        inputs.source,
        inputs.mask,
        None if weights is None else weights.sha256,
    )


@dataclass(frozen=True, slots=True)
class SegmentationFacts:
    """Facts of a run for the readers of ``run.json``."""

    inputs: Inputs
    """All that is read."""

    decisions: Decisions
    """All that was decided."""

    grid: BlockGrid
    """The blocks."""

    measured: MeasuredCubes | None
    """Way of counting cubes; None where they are not counted."""

    outside: tuple[str, ...] = ()
    """Lines on how the source lies outside of what the weights were trained for."""

    def to_plain(self) -> dict[str, Any]:
        """Return them as JSON values."""
        weights, threshold = self.inputs.weights, self.decisions.threshold
        return {
            "roi": str(self.inputs.roi),
            "volume_shape": list(self.grid.volume_shape),
            "blocks": len(self.grid),
            "grid": list(self.grid.counts),
            "threshold_of_255": threshold,
            "effective_threshold": (threshold - 0.5) / 255,
            "network": None if weights is None else asdict(weights.info),
            "weights": None if weights is None else str(weights.path),
            **({"cells": None} if self.measured is None else self.measured.to_plain()),
            **({"outside": list(self.outside)} if self.outside else {}),
        }
