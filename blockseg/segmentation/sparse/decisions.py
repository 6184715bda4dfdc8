"""``--sparse``: decisions, before the first block, on what need not be inferred."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.planning.tiling import block_shape
from blockseg.core.cubes import EDGE, TILE, CubeMask, SkipCriteria, cube_counts
from blockseg.core.geometry import to_zyx
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

__all__ = ["Sparse", "skip_criteria", "sparse_decisions", "sparse_from", "surveyed"]


_AGAIN = 3
"""Number of times that as many cubes are inferred again, at most."""

_MUCH = 0.5
"""Share of the volume that is skipped, from which on no more of it is looked for."""

_CLEAR = 0.75
"""Share of the volume with a lower score than all foreground, from which on it pays."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """Findings of ``--sparse``; stored in ``run.json`` and reused on resume."""

    edge: int
    """Edge of the cubes that were looked at, in voxels."""

    cubes: int
    """In the volume."""

    seen: int = 0
    """Cubes of these, looked at before the first block."""

    inferred: int = 0
    """Cubes of these, inferred to see what they hold."""

    with_foreground: int = 0
    """Cubes of these, with any foreground."""

    bound: float | None = None
    """Evidence up to which a tile is taken for empty; None where none is."""

    empty: float = 0.0
    """Share of the volume in such tiles, estimated."""

    computed: float = 1.0
    """Voxels that windows infer for each voxel of the volume, estimated."""

    lost: float = 0.0
    """Share of the foreground that is lost with what is skipped, estimated."""

    lost_at_most: float = 0.0
    """The same, with 95 % confidence."""

    specks: float = 0.0
    """Voxels that are lost in pieces too short to count as foreground, over the
    foreground, estimated."""

    level: int | None = None
    """Resolution level that tells tissue from what is outside; None where none does."""

    outside: float = 0.0
    """Share of the volume in cubes outside of the tissue."""

    tissue: dict[str, Any] | None = None
    """Which cubes are, or may be, tissue."""

    compared: int = 0
    """Cubes outside of the tissue that were compared with level 0."""

    untrusted: str = ""
    """Why no level tells tissue from what is outside although one seems to; empty if
    none does."""

    tile: int = 0
    """Edge of the tiles that are inferred or not, in voxels; 0 where whole cubes are, as
    in runs of earlier versions."""

    note: str = ""
    """Why everything is inferred; empty if it is not."""

    @property
    def skips(self) -> bool:
        """Whether anything may be skipped."""
        return self.bound is not None or self.tissue is not None

    def public(self) -> dict[str, Any]:
        """Return what a reader wants to know of it, as plain values."""
        return {key: value for key, value in asdict(self).items() if key != "tissue"}


def sparse_from(data: dict[str, Any] | None) -> Sparse | None:
    """Return what ``run.json`` holds."""
    return None if data is None else Sparse(**data)


def skip_criteria(data: dict[str, Any] | None) -> SkipCriteria | None:
    """Return what workers need of it; None if everything is to be inferred."""
    found = sparse_from(data)
    if found is None or not found.skips:
        return None
    tissue = None
    if found.tissue is not None:
        tissue = CubeMask(to_zyx(found.tissue["counts"]), found.tissue["bits"])
    return SkipCriteria(found.edge, found.bound, tissue, found.tile or found.edge)


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
    times = survey.wanted // max(len(cubes), 1)
    chosen = choose_threshold(cubes, sizes)
    if not chosen.clear and times > 1:
        cubes += survey.more(workers, times - 1)
        chosen = choose_threshold(cubes, sizes)
    suspects = survey.suspects(chosen.bound, workers)
    if suspects:
        cubes += suspects
        chosen = choose_threshold(cubes, sizes)
    for _ in range(_AGAIN):
        if survey.empty(chosen.bound) >= _MUCH or not _clear(survey, cubes):
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
    found = Sparse(edge, math.prod(counts), tile=TILE)

    def off(note: str) -> Decisions:
        said = _joined(decisions.note, note)
        return replace(decisions, sparse=asdict(replace(found, note=note)), note=said)

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
    if chosen.bound is None:
        return off(
            f"what {len(cubes)} sampled cubes of {edge}³ voxels hold is too faint to "
            f"skip any for less than {LOSS:.1%} of the foreground; all of the volume is "
            "inferred"
        )
    # Minus infinity: what is outside of the tissue may be skipped, and nothing else.
    bound = None if math.isinf(chosen.bound) else chosen.bound
    cover = cheapest_window(survey, bound, inputs, decisions)
    if not cover.pays:
        return off("too little of the volume is surely empty for skipping it to pay")
    found = replace(
        found,
        bound=bound,
        empty=survey.empty(bound),
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
            tissue=asdict(CubeMask.of(tissue.mask)),
        )
    return replace(
        decisions,
        block=inputs.settings.block or block_shape(inputs.roi.shape),
        window=inputs.settings.window or cover.window,
        sparse=asdict(found),
    )
