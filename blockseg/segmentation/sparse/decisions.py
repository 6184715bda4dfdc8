"""``--sparse``: decisions, before the first block, on what need not be inferred."""

from __future__ import annotations

import math
from dataclasses import replace
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
from blockseg.io.masks.tissue import tissue_cubes
from blockseg.segmentation.sparse.survey import Survey
from blockseg.segmentation.sparse.windows import cheapest_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs

_AGAIN = 3
"""Number of times that as many cubes are inferred again, at most."""

_MUCH = 0.5
"""Share of the volume that is skipped, from which on no more of it is looked for."""

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
    inside = None if tissue is None else tissue.mask
    survey = Survey(inputs, decisions, edge, inside)
    found = replace(found, seen=survey.seen)
    cubes, chosen = surveyed(survey, workers, 0.0 if tissue is None else tissue.wrong)
    found = replace(found, inferred=len(cubes), with_foreground=chosen.with_foreground)
    if chosen.with_foreground < FEWEST:
        return off(
            f"only {chosen.with_foreground} of {len(cubes)} sampled cubes of {edge}³ "
            f"voxels hold foreground, too few to tell what would be lost (it takes "
            f"{FEWEST}); all of the volume is inferred"
        )
    if chosen.threshold is None:
        return off(
            f"what {len(cubes)} sampled cubes of {edge}³ voxels hold is too faint to "
            f"skip any for less than {LOSS:.1%} of the foreground; all of the volume is "
            "inferred"
        )
    # Minus infinity: what is outside of the tissue may be skipped, and nothing else.
    threshold = None if math.isinf(chosen.threshold) else chosen.threshold
    cover = cheapest_window(survey, threshold, inputs, decisions)
    if not cover.pays:
        return off("too little of the volume is surely empty for skipping it to pay")
    found = replace(
        found,
        threshold=threshold,
        empty=survey.empty(threshold),
        computed=cover.computed,
        lost=chosen.lost,
        lost_at_most=chosen.at_most,
        specks=chosen.specks,
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
        window=inputs.settings.window or cover.window,
        sparse=found,
    )
