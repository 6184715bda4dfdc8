"""``blockseg evaluate``: how good a segmentation is, block by block."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
from blockseg.evaluation.prediction import open_prediction
from blockseg.evaluation.truth import open_truth
from blockseg.morphology.centreline import SKELETON_HALO
from blockseg.morphology.distance import reach_of
from blockseg.morphology.measures import Measure, measure

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
    """Within which centrelines agree, with its unit."""

    traced: bool
    """Whether only centrelines of the truth were known."""

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
    """Those with anything in either mask."""

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
    _check_truth(known, BlockGrid(shape, block, roi=roi), names)
    edges = settings.snr_bins if known.has_snr else ()
    grid = BlockGrid(shape, block, halo, roi)
    tally = score_blocks(
        Comparison(predicted, known, grid, settings.tolerance.distance, size, edges),
        settings.workers,
        on_block,
    )
    return Evaluation(
        prediction=predicted.name,
        truth=names,
        roi=roi,
        tolerance=str(settings.tolerance),
        traced=known.traced,
        snr_edges=edges,
        block=block,
        measures=_measures(tally, known, settings),
        total=reduce(add, (b.scores for b in tally.blocks)),
        counted=tally.counted,
        components=tally.components,
        blocks=tuple(tally.blocks),
        notes=(*predicted.notes, *known.notes, *_notes(tally, predicted)),
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


def _check_truth(truth: Truth, grid: BlockGrid, names: Sequence[str]) -> None:
    """Look for a first true voxel; raise VolumeError if there is none."""
    counted, ignored = False, False
    for block in grid:
        found = truth.read(block.write_roi)
        if found.mask.any():
            return
        counted |= bool(found.counts.any())
        ignored |= not found.counts.all()
    where = f"TRUTH {', '.join(names)} in {grid.region}"
    if not ignored:
        message = f"{where} has no foreground; there is nothing to find"
        raise VolumeError(message)
    what = "has no foreground beside what is ignored"
    message = (
        f"{where} {what if counted else 'is ignored everywhere'}; if 255 is its "
        "foreground, give --ignore none, else see --label-map"
    )
    raise VolumeError(message)


def _measures(
    tally: Tally, truth: Truth, settings: EvaluateSettings
) -> tuple[Measure, ...]:
    rows = np.stack([block.scores.row() for block in tally.blocks])
    found = measure(rows, draws=settings.draws, seed=settings.seed)
    return tuple(
        m for m in found if not (truth.traced and m.name.startswith(_OF_MASKS))
    )


def _notes(tally: Tally, prediction: Prediction) -> tuple[str, ...]:
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
    if true > _MUCH * tally.counted:
        notes.append(
            f"TRUTH calls {true / tally.counted:.1%} of its voxels neurites; if background "
            "and neurites are swapped, or 1 is background, give --label-map"
        )
    if (prediction.threshold or 0) > 1 and tally.greatest == 1:
        notes.append("PRED holds only 0 and 1; if it is a mask, leave --threshold out")
    if len(tally.blocks) < 2:
        notes.append("a single block has anything in it: there are no intervals")
    return tuple(notes)
