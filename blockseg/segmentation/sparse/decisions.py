"""``--sparse``: decisions, before the first block, on what need not be inferred."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.planning.sparse_plan import SparsePlan
from blockseg.blockwise.planning.tiling import block_shape
from blockseg.core.cubes import EDGE, TILE, CubeMask, cube_counts
from blockseg.inference.skip_calibration import (
    FEWEST,
    LOSS,
    Inferred,
    SkipCalibration,
    choose_threshold,
)
from blockseg.inference.tile_scores.scout import shipped_scout
from blockseg.io.masks.tissue import tissue_cubes
from blockseg.segmentation.sparse.survey import Survey
from blockseg.segmentation.sparse.windows import Cover, cheapest_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.specs import ScoutSpec
    from blockseg.io.masks.tissue import Tissue

_AGAIN = 3
"""Number of times that as many cubes are inferred again, at most."""

_MUCH = 0.5
"""Share of the volume that is skipped, from which on no more of it is looked for."""

_FULL = 0.75
"""Share of the inferred cubes with foreground from which on a volume is full of it: of
those that are drawn first most hold some anywhere, of the others few."""

_CLEAR = 0.75
"""Share of the volume with a lower score than all foreground, from which on it pays."""


def _joined(said: str, note: str) -> str:
    return "; ".join(part for part in (said, f"--sparse: {note}") if part)


def _clear(survey: Survey, cubes: Sequence[Inferred]) -> bool:
    """Say whether most of a volume has a lower score than any foreground found."""
    faintest = min((cube.faintest for cube in cubes), default=math.inf)
    if math.isinf(faintest):
        return False
    return survey.empty(float(np.nextafter(faintest, 0))) >= _CLEAR


def surveyed(
    survey: Survey, workers: int, wrong: float = 0.0
) -> tuple[list[Inferred], SkipCalibration]:
    """Infer as many cubes as it takes to say what may be skipped, within limits.

    Parameters
    ----------
    survey
        Nothing of which was inferred yet.
    workers
        Cubes inferred at the same time.
    wrong
        Share of the foreground that is lost outside of the tissue at most, if cubes there
        hold as much as those inside.

    Returns
    -------
    cubes
        That were inferred.
    chosen
        What may be skipped.
    """
    cubes, sizes = survey.inferred(workers)
    times = survey.sample_size // max(len(cubes), 1)
    chosen = choose_threshold(cubes, sizes)
    if not chosen.clear and times > 1:
        cubes += survey.more(workers, times - 1)
        chosen = choose_threshold(cubes, sizes)
    suspects = survey.suspects(chosen.threshold, workers)
    if suspects:
        cubes += suspects
        chosen = choose_threshold(cubes, sizes)
    for _ in range(_AGAIN):
        if survey.empty(chosen.threshold) >= _MUCH or not _clear(survey, cubes):
            break
        # What there is stands out, but is too little to be sure of: more cubes help.
        cubes += survey.more(workers, max(times, 1))
        chosen = choose_threshold(cubes, sizes)
    if wrong:
        chosen = choose_threshold(cubes, sizes, LOSS - wrong)
        chosen = replace(chosen, at_most=chosen.at_most + wrong)
    return cubes, chosen


def sparse_decisions(
    inputs: Inputs, decisions: Decisions, workers: int, edge: int = EDGE
) -> Decisions:
    """Return the decisions of a run that does not infer what is empty.

    What is skipped depends on the whole volume alone, not on ROI, mask or blocks.

    Parameters
    ----------
    inputs, decisions
        Of the run as it would be without.
    workers
        Cubes inferred at the same time.
    edge
        Of a cube, in voxels.
    """
    volume = inputs.source.volume
    counts = cube_counts(volume.shape, edge)
    found = SparsePlan(edge, math.prod(counts), tile=TILE)

    def off(note: str) -> Decisions:
        said = _joined(decisions.note, note)
        return replace(decisions, sparse=replace(found, note=note), note=said)

    if decisions.empty is not None:
        return off("nothing varies in the sample of the volume; all of it is inferred")
    tissue = tissue_cubes(inputs.source.spec, counts, edge)
    if tissue is not None and tissue.doubt:
        decisions = replace(decisions, note=_joined(decisions.note, tissue.doubt))
        found = replace(found, untrusted=tissue.doubt)
        tissue = None
    tried = _best_score(inputs, decisions, workers, edge, tissue)
    found = replace(
        found,
        seen=tried.survey.seen,
        inferred=len(tried.cubes),
        with_foreground=tried.chosen.with_foreground,
    )
    if tried.cover is None:
        return off(_why_not(tried, edge))
    found = replace(
        found,
        threshold=tried.threshold,
        empty=tried.survey.empty(tried.threshold),
        computed=tried.cover.computed,
        lost=tried.chosen.lost,
        lost_at_most=tried.chosen.at_most,
        specks=tried.chosen.specks,
        scout=tried.scout,
    )
    if tissue is not None:
        found = replace(
            found,
            level=tissue.level,
            compared=tissue.seen,
            outside=float(1 - tissue.mask.mean()),
            tissue=CubeMask.of(tissue.mask),
        )
    return replace(
        decisions,
        block=inputs.settings.block or block_shape(inputs.roi.shape),
        window=inputs.settings.window or tried.cover.window,
        sparse=found,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """A score of tiles, and what may be skipped by it."""

    scout: ScoutSpec | None
    """That gives it; None for the path opening."""

    survey: Survey

    cubes: list[Inferred]

    chosen: SkipCalibration

    threshold: float | None = None
    """None where nothing of the tissue may be skipped."""

    cover: Cover | None = None
    """Windows over what is left; None where nothing may be skipped, or it does not pay."""


def _best_score(
    inputs: Inputs, decisions: Decisions, workers: int, edge: int, tissue: Tissue | None
) -> _Tried:
    """Return the tiles that the scout may skip; if there are none, those of the path opening.

    A volume is not looked at twice if it is full of foreground, or if the scout takes most
    of it for empty and windows over the rest do not pay: the path opening leaves more.
    """
    first = _tried(
        shipped_scout(inputs.info.gain), inputs, decisions, workers, edge, tissue
    )
    if first.cover is not None and first.threshold is not None:
        return first
    told_apart = first.survey.empty(first.threshold) >= _MUCH
    if told_apart or first.chosen.with_foreground > _FULL * len(first.cubes):
        return first
    second = _tried(None, inputs, decisions, workers, edge, tissue)
    return first if second.cover is None and first.cover is not None else second


def _tried(
    scout: ScoutSpec | None,
    inputs: Inputs,
    decisions: Decisions,
    workers: int,
    edge: int,
    tissue: Tissue | None,
) -> _Tried:
    """Survey a volume by one score."""
    inside, wrong = (None, 0.0) if tissue is None else (tissue.mask, tissue.wrong)
    threads = workers * decisions.threads
    survey = Survey(inputs, decisions, edge, inside, scout, threads)
    cubes, chosen = surveyed(survey, workers, wrong)
    found = _Tried(scout, survey, cubes, chosen)
    if chosen.with_foreground < FEWEST or chosen.threshold is None:
        return found
    # Minus infinity: what is outside of the tissue may be skipped, and nothing else.
    threshold = None if math.isinf(chosen.threshold) else chosen.threshold
    cover = cheapest_window(survey, threshold, inputs, decisions)
    return replace(found, threshold=threshold, cover=cover if cover.pays else None)


def _why_not(tried: _Tried, edge: int) -> str:
    """Return why everything is inferred."""
    count, holding = len(tried.cubes), tried.chosen.with_foreground
    if holding < FEWEST:
        return (
            f"only {holding} of {count} sampled cubes of {edge}³ voxels hold foreground, "
            f"too few to tell what would be lost (it takes {FEWEST}); all of the volume "
            "is inferred"
        )
    if tried.chosen.threshold is None:
        return (
            f"what {count} sampled cubes of {edge}³ voxels hold is too faint to skip any "
            f"for less than {LOSS:.1%} of the foreground; all of the volume is inferred"
        )
    return "too little of the volume is surely empty for skipping it to pay"
