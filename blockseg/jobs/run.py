"""``blockseg run``: segment a brain, exactly, resumably, with nothing lost."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg import model
from blockseg.config import RunSettings
from blockseg.jobs.claim import earlier_record
from blockseg.jobs.decisions import Decisions, decide, decisions_from, fitted, make_grid
from blockseg.jobs.events import OnJobEvent, ignore
from blockseg.jobs.execute import Job, JobResult
from blockseg.jobs.inputs import Inputs, gather
from blockseg.jobs.launch import launch
from blockseg.jobs.phases import Phase, Stored, coarse_phases, phase_facts
from blockseg.jobs.record import (
    Paths,
    RunRecord,
    execution_of,
    machine_facts,
    request_of,
)
from blockseg.jobs.segment import Segmentation
from blockseg.volume import MaskSampler, PyramidSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.grid import BlockGrid

__all__ = ["prepare", "run"]


def run(
    source: str,
    out: str | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Segment a brain into an OME-Zarr, or go on with a run that was stopped.

    Parameters
    ----------
    source
        Zarr, N5 or TIFF volume, found out by looking.
    out
        Output group; ``NAME.blockseg.zarr`` beside the source if not given.
    settings
        What to do; the defaults if not given.
    overwrite
        Start anew where OUT holds an earlier run.
    on_event
        Told what happens, in this thread.
    command
        What the user typed, for the record.

    Returns
    -------
    JobResult
        What was written and what was not.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad; and if the
        cluster is lost in the middle, which the same call then resumes.
    KeyboardInterrupt
        After Ctrl-C; the same call goes on.
    """
    job, inputs, decisions = prepare(source, out, settings or RunSettings(), overwrite)
    return launch(
        replace(job, command=command),
        inputs.settings,
        fitted(inputs, decisions),
        on_event,
        engine=_engine(decisions),
        notes=_notes(decisions),
        gpus=model.cuda_devices() if decisions.device == "cuda" else (),
    )


def prepare(
    source: str, out: str | None, settings: RunSettings, overwrite: bool = False
) -> tuple[Job, Inputs, Decisions]:
    """Check everything and decide what is open; nothing is written.

    A run that was started before keeps its decisions.
    """
    inputs = gather(source, out, settings)
    paths = Paths(inputs.out)
    request = request_of(inputs)
    earlier = earlier_record(paths, request, overwrite=overwrite)
    decisions = decisions_from(earlier.decisions) if earlier else decide(inputs)
    grid = make_grid(inputs, decisions.block)
    probability, foreground = outputs(inputs, decisions)
    probability.check_grid(grid)
    candidates = _candidates(inputs, grid)
    stored = (Stored(probability), Stored(foreground, column="foreground"))
    main = Phase("segment", grid, _segmentation(inputs, decisions), stored)
    coarse = tuple(
        coarse_phases(("probability", probability), ("foreground", foreground))
    )
    record = earlier or RunRecord(
        request=request,
        decisions=asdict(decisions),
        execution={},
        facts={
            **_facts(inputs, decisions, grid),
            "phases": phase_facts((main, *coarse), len(candidates)),
        },
    )
    ledger = record.execution.get("ledger")
    if settings.ledger is not None:
        ledger = str(Path(settings.ledger).expanduser().absolute())
    job = Job(
        paths=paths,
        record=record.with_execution({**execution_of(settings), "ledger": ledger}),
        resumed=earlier is not None,
        main=main,
        candidates=candidates,
        coarse=coarse,
        pyramids=(probability, foreground),
        attempts=settings.attempts,
        ledger=Path(ledger) if ledger else None,
    )
    return job, inputs, decisions


def _segmentation(inputs: Inputs, decisions: Decisions) -> Segmentation:
    weights = "" if inputs.weights is None else str(inputs.weights.path)
    probability, foreground = outputs(inputs, decisions)
    return Segmentation(
        source=inputs.source.spec,
        space=inputs.source.space,
        grid=make_grid(inputs, decisions.block),
        backend=decisions.engine(weights),
        affine=decisions.affine,
        threshold=decisions.threshold,
        empty=decisions.empty,
        probability=probability,
        foreground=foreground,
        mask=None if inputs.mask is None else inputs.mask.spec,
    )


def outputs(inputs: Inputs, decisions: Decisions) -> tuple[PyramidSpec, PyramidSpec]:
    """Return the images that a run writes: probability and mask."""
    settings = inputs.settings
    probability = PyramidSpec(
        uri=str(inputs.out),
        shape=inputs.roi.shape,
        block=decisions.block,
        dtype="uint8",
        space=inputs.source.space.cropped(inputs.roi.start),
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        reduce="max",
        name="probability",
        window=(0, 255),
    )
    foreground = replace(
        probability,
        uri=str(inputs.out / "labels" / "foreground"),
        name="foreground",
        window=None,
    )
    return probability, foreground


def _candidates(inputs: Inputs, grid: BlockGrid) -> NDArray[np.int64]:
    if inputs.mask is None:
        return np.arange(len(grid), dtype=np.int64)
    sampler = MaskSampler(inputs.mask.volume, grid.volume_shape, inputs.source.space)
    return np.flatnonzero(sampler.occupied(grid)).astype(np.int64)


def _facts(inputs: Inputs, decisions: Decisions, grid: BlockGrid) -> dict[str, object]:
    weights = inputs.weights
    return {
        "roi": str(inputs.roi),
        "volume_shape": list(grid.volume_shape),
        "blocks": len(grid),
        "grid": list(grid.counts),
        "threshold_of_255": decisions.threshold,
        "effective_threshold": (decisions.threshold - 0.5) / 255,
        "network": None if weights is None else asdict(weights.info),
        "weights": None if weights is None else str(weights.path),
        "machine": machine_facts(),
    }


def _engine(decisions: Decisions) -> str:
    by = "×".join(str(n) for n in decisions.window)
    threads = f"{decisions.threads} thread{'s' * (decisions.threads > 1)}"
    return f"{decisions.backend} on {decisions.device}, windows of {by}, {threads}"


def _notes(decisions: Decisions) -> tuple[str, ...]:
    notes = []
    if decisions.note:
        notes.append(decisions.note)
    unreadable = decisions.background.get("unreadable") or []
    if unreadable:
        notes.append(
            f"{len(unreadable)} samples of the background could not be read and were "
            "passed over; run.json lists them"
        )
    return tuple(notes)
