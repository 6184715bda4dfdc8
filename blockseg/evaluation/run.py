"""``blockseg evaluate``: quality of a segmentation, block by block."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.sources.inputs import check_roi
from blockseg.config.evaluate_settings import EvaluateSettings
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.labels import IGNORE
from blockseg.evaluation.blocks import Comparison, ScoredBlock, Tally, score_blocks
from blockseg.evaluation.planes import single_planes
from blockseg.evaluation.prediction import open_prediction
from blockseg.evaluation.truth import open_truth
from blockseg.morphology.block_scores import nothing_scored
from blockseg.morphology.centreline import SKELETON_HALO
from blockseg.morphology.distance import reach_of
from blockseg.morphology.measures import (
    OF_PLANES,
    OF_SURFACES,
    Measure,
    measure,
    measures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blockseg.core.space import Vector
    from blockseg.evaluation.prediction import Prediction
    from blockseg.evaluation.truth import Truth
    from blockseg.morphology.block_scores import BlockScores

_BLOCKS = (128, 64, 32)  # edges, in voxels
_LARGEST_REACH = 64  # voxels of the largest tolerance: as much is read around blocks
_MUCH = 0.5  # share of neurites that no brain has
_ENOUGH = 20  # blocks for an interval
_OF_MASKS = ("voxel_", "near_", "topology_", "cl_dice")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality of a segmentation."""

    prediction: str
    """Prediction that was scored."""

    truth: tuple[str, ...]
    """Names of the truth that it was compared with."""

    roi: Roi
    """Region that was scored, in voxels of PRED."""

    tolerance: str
    """Tolerance within which centrelines agree, with its unit."""

    traced: bool
    """Whether only centrelines of the truth were known."""

    negative: bool
    """Whether the truth holds no neurite."""

    planes: int
    """Annotated planes, where the truth was known in single planes only; else 0."""

    snr_edges: tuple[float, ...]
    """Where SNR bins meet; empty where no SNR was known."""

    block: Zyx
    """Voxels of a block."""

    measures: tuple[Measure, ...]
    """Measures, with confidence intervals over blocks."""

    total: BlockScores
    """All counts."""

    counted: int
    """Voxels with a known truth."""

    components: tuple[int, int]
    """Predicted and true connected components where the truth is known."""

    blocks: tuple[ScoredBlock, ...]
    """Blocks with anything in either mask."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""

    @property
    def betti0_error(self) -> int:
        """Absolute difference of the numbers of components."""
        return abs(self.components[0] - self.components[1])

    def __getitem__(self, name: str) -> Measure:
        """Return a measure by its name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for found in self.measures:
            if found.name == name:
                return found
        raise KeyError(name)


def evaluate(
    prediction: str | os.PathLike[str],
    truth: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    settings: EvaluateSettings | None = None,
    *,
    on_block: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Compare a segmentation with its truth.

    Parameters
    ----------
    prediction
        A mask, a probability, or the output of a run.
    truth
        An annotation, a synthetic brain, or SWC files and folders of such.
    settings
        Settings of the comparison; their defaults if not given.
    on_block
        Told how many blocks are done, and how many there are.

    Raises
    ------
    BlocksegError
        With one line, if something cannot be read or compared.
    """
    settings = settings or EvaluateSettings()
    several = (truth,) if isinstance(truth, str | os.PathLike) else truth
    names = tuple(os.fspath(name) for name in several)
    predicted = open_prediction(
        os.fspath(prediction),
        threshold=settings.threshold,
        voxel_size=settings.voxel_size,
    )
    known = open_truth(names, predicted, settings)
    shape = predicted.volume.shape
    roi = settings.roi or Roi.whole(shape)
    check_roi(roi, shape)
    size = _sampling(predicted, settings)
    halo = _halo(settings, size)
    block = settings.block or _block(roi.shape)
    negative = _is_negative(known, BlockGrid(shape, block, roi=roi), names, settings)
    annotated = None if negative else single_planes(known, shape, block, roi)
    edges = settings.snr_bins if known.has_snr else ()
    grid = BlockGrid(shape, block, halo, roi)
    distance = settings.tolerance.distance
    planes = 0 if annotated is None else int(annotated[roi.slices()[0]].sum())
    comparison = Comparison(predicted, known, grid, distance, size, edges, planes > 0)
    tally = score_blocks(comparison, settings.workers, on_block)
    nothing = nothing_scored(edges=len(edges))
    total = reduce(add, (b.scores for b in tally.blocks), nothing)
    total = replace(total, counted=tally.counted)
    planes = (
        0 if annotated is None else int(np.count_nonzero(annotated[roi.slices()[0]]))
    )
    return Evaluation(
        prediction=predicted.name,
        truth=names,
        roi=roi,
        tolerance=str(settings.tolerance),
        traced=known.traced,
        negative=negative,
        planes=planes,
        snr_edges=edges,
        block=block,
        measures=_measures(tally, total, settings, known.traced, negative, planes),
        total=total,
        counted=tally.counted,
        components=tally.components,
        blocks=tuple(tally.blocks),
        notes=(*predicted.notes, *known.notes, *_notes(tally, predicted, negative)),
    )


def _sampling(prediction: Prediction, settings: EvaluateSettings) -> Vector:
    """Return the edge lengths by which distances are measured."""
    if settings.tolerance.unit == "voxels":
        return (1.0, 1.0, 1.0)
    if prediction.space.unit is None:
        message = (
            f"{prediction.name} states no voxel size; give --voxel-size Z,Y,X in µm, or "
            "--tolerance in voxels"
        )
        raise ConfigError(message)
    return prediction.space.voxel_size


def _halo(settings: EvaluateSettings, size: Vector) -> Zyx:
    reach = reach_of(settings.tolerance.distance, size)
    if max(reach) > _LARGEST_REACH:
        message = (
            f"--tolerance {settings.tolerance} is {max(reach)} voxels; it must be at "
            f"most {_LARGEST_REACH}"
        )
        raise ConfigError(message)
    return to_zyx(n + SKELETON_HALO for n in reach)


def _block(shape: Zyx) -> Zyx:
    """Return large blocks, but enough of them for an interval."""
    for edge in _BLOCKS:
        block = to_zyx(min(edge, n) for n in shape)
        if len(BlockGrid(shape, block)) >= _ENOUGH:
            break
    return block


def _is_negative(
    truth: Truth, grid: BlockGrid, names: Sequence[str], settings: EvaluateSettings
) -> bool:
    """Look for a first true voxel; return whether the truth holds none.

    Raises
    ------
    VolumeError
        If nothing is known, or all that is no background is ignored and nobody said so.
    """
    counted, ignored = False, False
    for block in grid:
        found = truth.read(block.write_roi)
        if found.mask.any():
            return False
        counted |= bool(found.counts.any())
        ignored |= not found.counts.all()
    said = settings.label_map is not None or settings.ignore != "auto"
    if counted and (said or not ignored):
        return True
    where = f"TRUTH {', '.join(names)} in {grid.region}"
    what = "has no foreground beside what is ignored"
    message = (
        f"{where} {what if counted else 'is ignored everywhere'}; if 255 is its "
        "foreground, give --ignore none, else see --label-map"
    )
    raise VolumeError(message)


def _measures(
    tally: Tally,
    total: BlockScores,
    settings: EvaluateSettings,
    traced: bool,
    negative: bool,
    planes: int,
) -> tuple[Measure, ...]:
    """Return the measures that the truth has."""
    counts = measures(total.row())
    share = float(counts["painted_share"])
    # Blocks with nothing in them hold background too, and are not drawn from.
    painted = (Measure("painted_share", share, np.nan, np.nan),)
    if negative:
        return painted
    rows = np.stack([block.scores.row() for block in tally.blocks])
    found = measure(rows, draws=settings.draws, seed=settings.seed)
    # Neurites alone say nothing of their background, nor where they end.
    outlined = not traced and not np.isnan(share)
    absent = (
        "painted_share",
        *(() if planes else OF_PLANES),
        *(() if outlined and not planes else OF_SURFACES),
        *(_OF_MASKS if traced else ()),
    )
    kept = tuple(m for m in found if not m.name.startswith(absent))
    return kept + painted if outlined else kept


def _notes(tally: Tally, prediction: Prediction, negative: bool) -> tuple[str, ...]:
    notes = []
    if tally.nonfinite:
        notes.append(f"{tally.nonfinite} NaN or infinite voxels of PRED count as empty")
    if tally.levels:
        notes.append(
            "PRED holds several values above 0, all taken as foreground; if it is a "
            "probability, give --threshold"
        )
    if tally.labels:
        notes.append(
            "TRUTH holds several values above 0, all taken as neurites; if some mean "
            "background or unknown, give --label-map"
        )
    if tally.unsure == IGNORE:
        notes.append(
            "the largest label of TRUTH is 255, taken for a neurite as its type holds "
            "more than a byte; if it means unknown, give --ignore 255"
        )
    true = sum(block.scores.voxels.true for block in tally.blocks)
    if negative:
        notes.append("TRUTH holds no neurite: the score is the share that is painted")
    if true > _MUCH * tally.counted:
        notes.append(
            f"TRUTH calls {true / tally.counted:.1%} of its voxels neurites; if background "
            "and neurites are swapped, or 1 is background, give --label-map"
        )
    if true == tally.counted:
        notes.append(
            "TRUTH has no known background: only recall means something, not precision or F1"
        )
    if (prediction.threshold or 0) > 1 and tally.greatest == 1:
        notes.append("PRED holds only 0 and 1; if it is a mask, leave --threshold out")
    if len(tally.blocks) < 2 and not negative:
        notes.append("a single block has anything in it: there are no intervals")
    return tuple(notes)
