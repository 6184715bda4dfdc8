"""``blockseg compare``: differences between two segmentations, and which is better."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import absolute
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.record.request import what_differs
from blockseg.comparison.by_region import region_counter
from blockseg.comparison.counts import CubeCounts, count_cubes
from blockseg.config.evaluate_settings import EvaluateSettings
from blockseg.config.regions_settings import CompareSettings
from blockseg.core.errors import BlocksegError, ConfigError
from blockseg.core.text import times
from blockseg.evaluation.prediction import open_prediction
from blockseg.evaluation.run import evaluate
from blockseg.reports.facts import JobFacts, job_facts
from blockseg.reports.samples import metric_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from blockseg.comparison.by_region import RegionCount
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.evaluation.prediction import Prediction
    from blockseg.evaluation.run import Evaluation

SNR_EDGES = (2.0, 4.0, 8.0)
"""Where bins of a cube's median SNR meet."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two."""

    prediction: Prediction
    """Its mask."""

    run: JobFacts | None
    """Run that made it; None of a mask from elsewhere."""

    scores: Evaluation | None
    """Scores against the truth; None without."""

    @property
    def name(self) -> str:
        """As the user named it."""
        return self.prediction.name


@dataclass(frozen=True, slots=True)
class SnrBin:
    """Cubes of similar SNR."""

    low: float
    """Least median SNR, included."""

    high: float
    """Greatest, excluded."""

    cubes: int
    """Number of cubes."""

    both: int
    """Voxels in both masks."""

    first: int
    """Voxels only in the first."""

    second: int
    """Voxels only in the second."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Differences of two segmentations."""

    first: Side
    """The one that was named first."""

    second: Side
    """The other one."""

    origin: Zyx
    """First voxel of both in the source."""

    counts: CubeCounts
    """Voxels of both, cube by cube."""

    by_snr: tuple[SnrBin, ...]
    """The same by the SNR of cubes; empty where no run measured any."""

    asked: tuple[str, ...]
    """Settings of the second run that are others, a line each."""

    by_region: tuple[RegionCount, ...] = ()
    """The same by the regions of an atlas, most changed first; empty without one."""


def compare(
    first: str,
    second: str,
    truth: Sequence[str] = (),
    settings: CompareSettings | None = None,
    *,
    on_part: Callable[[int, int], None] | None = None,
) -> Compared:
    """Compare two segmentations of one volume.

    Parameters
    ----------
    first, second
        Outputs of ``blockseg run``, or masks.
    truth
        As for ``blockseg evaluate``; both are scored against it.
    settings
        An atlas by whose regions differences are counted, too.
    on_part
        Told how many parts are done, and how many there are.

    Raises
    ------
    VolumeError
        If one of them cannot be read.
    ConfigError
        If they are not of the same voxels, or the atlas does not fit them.
    """
    opened = [open_prediction(name) for name in (first, second)]
    _check_same(*opened)
    runs = [_run(name) for name in (first, second)]
    origin = next((r.record.roi.start for r in runs if r and r.record.roi), (0, 0, 0))
    regions = region_counter(settings or CompareSettings(), opened[0])
    counts = count_cubes(
        opened[0], opened[1], origin, _emptiness(runs, opened), on_part, regions
    )
    sides = [
        Side(
            prediction,
            run,
            evaluate(prediction.name, list(truth), EvaluateSettings())
            if truth
            else None,
        )
        for prediction, run in zip(opened, runs, strict=True)
    ]
    asked: tuple[str, ...] = ()
    if runs[0] is not None and runs[1] is not None:
        asked = tuple(what_differs(runs[0].record.request, runs[1].record.request))
    return Compared(
        sides[0],
        sides[1],
        origin,
        counts,
        _by_snr(counts, runs),
        asked,
        () if regions is None else regions.counts(),
    )


def _check_same(first: Prediction, second: Prediction) -> None:
    a, b = first.volume.shape, second.volume.shape
    if a != b:
        message = (
            f"{first.name} has {times(a)} voxels and {second.name} {times(b)}: compare "
            "segmentations of the same volume and region"
        )
        raise ConfigError(message)
    where_a, where_b = first.source_roi, second.source_roi
    if where_a is not None and where_b is not None and where_a != where_b:
        message = (
            f"{first.name} is the region {where_a} and {second.name} {where_b}: compare "
            "segmentations of the same region"
        )
        raise ConfigError(message)


def _run(name: str) -> JobFacts | None:
    try:
        return job_facts(Paths(absolute(name)))
    except BlocksegError:
        return None  # a mask like others, as far as can be told


def _emptiness(
    runs: Sequence[JobFacts | None], opened: Sequence[Prediction]
) -> Callable[[Roi], bool]:
    """Return whether neither run found anything in a region, by their ledgers."""
    known = [
        (run.foreground.reshape(run.main.grid), run.record.block)
        for run in runs
        if run is not None and run.main.name == "segment"
    ]

    def is_empty(roi: Roi) -> bool:
        if len(known) < len(opened):
            return False
        for found, block in known:
            z, y, x = (
                slice(a // n, -(-b // n))
                for a, b, n in zip(roi.start, roi.stop, block, strict=True)
            )
            if found[z, y, x].any():
                return False
        return True

    return is_empty


def _by_snr(counts: CubeCounts, runs: Sequence[JobFacts | None]) -> tuple[SnrBin, ...]:
    """Sort cubes by the SNR that the first run measured, or where it did not the other."""
    snr = np.full(counts.both.shape, np.nan)
    for run in runs:
        measured = {} if run is None else _metrics(run)
        if "snr_50" in measured and measured["snr_50"].shape == snr.shape:
            snr = np.where(np.isnan(snr), measured["snr_50"], snr)
    edges = (-np.inf, *SNR_EDGES, np.inf)
    found = []
    for low, high in pairwise(edges):
        at = (snr >= low) & (snr < high)
        if at.any():
            sums = (
                int(c[at].sum()) for c in (counts.both, counts.first, counts.second)
            )
            found.append(SnrBin(low, high, int(at.sum()), *sums))
    return tuple(found)


def _metrics(run: JobFacts) -> dict[str, NDArray[np.float32]]:
    try:
        return metric_images(run.paths.out)
    except BlocksegError:
        return {}
