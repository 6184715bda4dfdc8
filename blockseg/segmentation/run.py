"""``blockseg run``: segment a brain, exactly, resumably, with nothing lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.begun_anew import refuse_begun_anew
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.decisions import (
    Decisions,
    decisions_from,
)
from blockseg.blockwise.planning.resources import (
    make_grid,
    plan_resources,
    planned_reading,
)
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import open_job
from blockseg.blockwise.run import run as run_job
from blockseg.blockwise.shares.plan import (
    SharedPlan,
    plan_for,
    publish,
    share_of,
    share_paths,
)
from blockseg.blockwise.sources.background import normalization
from blockseg.blockwise.sources.block_reading import BlockReading
from blockseg.blockwise.sources.inputs import Inputs, gather
from blockseg.blockwise.sources.masks import blocks_in_mask
from blockseg.blockwise.sources.remarks import closing_remarks, unreadable_remarks
from blockseg.blockwise.sources.restored import (
    Levels,
    other_background,
    other_skipping,
)
from blockseg.config.settings import RunSettings
from blockseg.core.text import counted, times
from blockseg.core.work_ranges import Share
from blockseg.inference import devices
from blockseg.inference.skip_filter import blocks_with_tissue
from blockseg.measurement.grey_scale import (
    MeasuredCubes,
    grey_scale,
    measured_cubes,
)
from blockseg.measurement.images import write_cube_images
from blockseg.reports.write import end_with_report
from blockseg.runtime.events import Message
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.engines.choice import engines_of, trial_of
from blockseg.segmentation.engines.cpu_precision import gain_line
from blockseg.segmentation.images import run_images
from blockseg.segmentation.record import SegmentationFacts, segmentation_request
from blockseg.segmentation.sparse.decisions import sparse_decisions
from blockseg.segmentation.task import Segmentation
from blockseg.suitability.limits import warnings_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.job import Job, JobResult
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.core.cubes import SkipCriteria
    from blockseg.core.grid import BlockGrid
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.stores.location import Location


def run(
    source: str,
    out: str | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Segment a brain into an OME-Zarr, or resume a run that was stopped.

    Parameters
    ----------
    source
        Zarr, N5 or TIFF volume, found out by looking.
    out
        Output group; ``NAME.blockseg.zarr`` beside the source if not given.
    settings
        What to do; the defaults if not given.
    overwrite
        Start over if OUT holds an earlier run.
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
    inputs = gather(source, out, settings or RunSettings())
    return segment(inputs, overwrite=overwrite, on_event=on_event, command=command)


def segment(
    inputs: Inputs,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
    restored: bool = False,
) -> JobResult:
    """Segment a brain whose inputs are open, or resume a run that was stopped.

    Parameters
    ----------
    inputs
        Of the run.
    overwrite, on_event, command
        As of :func:`run`.
    restored
        Whether the probability that OUT holds of a block is taken, where its checksums
        prove it, and not inferred again: the ledger was lost.

    Raises
    ------
    BlocksegError
        As of :func:`run`.
    """
    job, decisions = prepare_inputs(
        inputs, overwrite, on_event, command=command, restored=restored
    )
    write_images = partial(
        write_cube_images,
        job,
        inputs.settings,
        inputs.source.space,
        decisions.field,
        inputs.info.gain,
    )
    result = run_job(
        job,
        on_event,
        engine=_engine(decisions),
        notes=(
            *_notes(decisions),
            *_gain(inputs, decisions),
            *_unmeasured(job, inputs.settings),
        ),
        gpus=devices.cuda_devices() if decisions.device == "cuda" else (),
        at_end=None if job.paths.share else write_images,
    )
    if job.paths.share:  # levels, images and page are made of all of them
        return result
    found = decisions.background
    remarks = (
        *closing_remarks(inputs, decisions),
        *other_background(
            Levels.of(found),
            len(found.unreadable),
            result.replaced,
            lambda: Levels.of(normalization(inputs).found),
        ),
        *other_skipping(decisions.criteria is not None, result.replaced),
    )
    end_with_report(result.out, on_event, wanted=inputs.settings.report, notes=remarks)
    return replace(result, remarks=(*outside_lines(job.record), *remarks))


def prepare(
    source: str,
    out: str | None,
    settings: RunSettings,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    *,
    foresee: bool = False,
    command: str = "",
) -> tuple[Job, Inputs, Decisions]:
    """Check everything and decide what is open; nothing is written.

    A run that was started before keeps its decisions. With ``foresee`` nothing will be
    done: then sources are not looked at without need.
    """
    inputs = gather(source, out, settings)
    job, decisions = prepare_inputs(
        inputs, overwrite, on_event, foresee=foresee, command=command
    )
    return job, inputs, decisions


def prepare_inputs(
    inputs: Inputs,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    *,
    foresee: bool = False,
    command: str = "",
    restored: bool = False,
) -> tuple[Job, Decisions]:
    """Check and decide as :func:`prepare` does, of inputs that are open."""
    request, share = segmentation_request(inputs), _share(inputs.settings)
    plan = None
    paths: Location | Paths = inputs.out
    if share is not None:  # which see each other on a shared disk alone
        on_disk = Paths(inputs.out).on_disk
        plan = plan_for(on_disk, share, request)
        paths = share_paths(on_disk, share)
    # 1. What the output holds already.
    begun = open_job(
        paths,
        request,
        inputs.settings,
        overwrite=overwrite,
        on_event=on_event,
        foresee=foresee,
        command=command,
    )
    refuse_begun_anew(begun)
    # 2. Decisions: those of an earlier start, or of the driver of another part.
    earlier = begun.earlier or (None if plan is None else plan.record)
    decisions = (
        decisions_from(earlier.decisions) if earlier else _decided(inputs, on_event)
    )
    # 3. Blocks, images and workers.
    grid = make_grid(inputs, decisions.block)
    images = _outputs(inputs, decisions, checked=begun.checked)
    measured = _measured(inputs, decisions, earlier)
    task = _task(inputs, decisions, grid, images, measured, restored=restored)
    layout = plan_resources(inputs, decisions)
    job = begun.job(
        task,
        layout,
        planned_reading(inputs, decisions, layout).traversal,
        decisions=decisions,
        facts=SegmentationFacts(
            inputs, decisions, grid, measured, _outside(inputs, earlier)
        ),
        candidates=_candidates(inputs, grid, decisions.criteria),
        measured=task.scale is not None,
    )
    if share is None:
        return job, decisions
    # 4. Decisions of the first driver are those of all parts.
    if plan is None:
        plan = SharedPlan(job.record, share.count)
        if not foresee:
            plan = publish(Paths(inputs.out).on_disk, job.record, share.count)
        if plan.record.fingerprint != job.record.fingerprint:  # another was faster
            return prepare_inputs(
                inputs, overwrite, on_event, command=command, restored=restored
            )
    return share_of(job, plan, share), decisions


def _task(
    inputs: Inputs,
    decisions: Decisions,
    grid: BlockGrid,
    images: tuple[PyramidSpec, PyramidSpec],
    measured: MeasuredCubes | None,
    *,
    restored: bool,
) -> Segmentation:
    """Return what is done to a block."""
    probability, foreground = images
    probability.check_grid(grid)
    weights = "" if inputs.weights is None else str(inputs.weights.path)
    return Segmentation(
        BlockReading.of_run(grid, decisions, inputs.source, inputs.mask),
        engines=engines_of(decisions, weights),
        trial=trial_of(inputs, decisions),
        threshold=decisions.threshold,
        probability=probability,
        foreground=foreground,
        empty=decisions.empty,
        scale=measured.scale if measured and inputs.settings.metrics else None,
        restored=restored,
    )


def _share(settings: RunSettings) -> Share | None:
    return None if settings.part is None else Share.parse(settings.part)


def _decided(inputs: Inputs, on_event: OnJobEvent) -> Decisions:
    decisions = decide(inputs, on_event=on_event)
    if not inputs.sparse:
        return decisions
    on_event(Message("inferring a sample of the volume to find what --sparse may skip"))
    return sparse_decisions(
        inputs, decisions, plan_resources(inputs, decisions).workers
    )


def _outputs(
    inputs: Inputs, decisions: Decisions, *, checked: bool
) -> tuple[PyramidSpec, PyramidSpec]:
    settings = inputs.settings
    return run_images(
        inputs.out,
        inputs.roi,
        decisions.block,
        inputs.source.space,
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        checked=checked,
    )


def _measured(
    inputs: Inputs, decisions: Decisions, earlier: RunRecord | None
) -> MeasuredCubes | None:
    """Return the way of counting cubes; None where the run was begun without."""
    if earlier is not None:
        return measured_cubes(earlier)
    if not inputs.settings.metrics:
        return None
    return MeasuredCubes(grey_scale(inputs, decisions.background), predicted=True)


def _outside(inputs: Inputs, earlier: RunRecord | None) -> tuple[str, ...]:
    """Return the ways in which the source lies outside what the weights were trained for."""
    if earlier is not None or inputs.weights is None:
        return ()
    source, weights = inputs.source, inputs.weights
    return warnings_of(source.spec, source.space, weights.sha256, weights.info)


def outside_lines(record: RunRecord) -> tuple[str, ...]:
    """Return the remarks of a run on a source that its weights were not trained for."""
    return tuple(map(str, record.facts.get("outside", ())))


def _unmeasured(job: Job, settings: RunSettings) -> tuple[str, ...]:
    if settings.metrics and measured_cubes(job.record) is None:
        note = (
            "this run was begun without metrics and goes on so; blockseg metrics "
            "measures a brain alone"
        )
        return (note,)
    return ()


def _candidates(
    inputs: Inputs, grid: BlockGrid, criteria: SkipCriteria | None
) -> NDArray[np.int64]:
    chosen = np.ones(grid.counts, bool)
    if inputs.mask is not None:
        chosen &= blocks_in_mask(inputs.mask, inputs.source.space, grid)
    if criteria is not None:
        chosen &= blocks_with_tissue(criteria, grid)
    return np.flatnonzero(chosen).astype(np.int64)


def _gain(inputs: Inputs, decisions: Decisions) -> tuple[str, ...]:
    line = gain_line(inputs.settings, decisions, inputs.info.architecture)
    return (line,) if line else ()


def _engine(decisions: Decisions) -> str:
    by = times(decisions.window)
    if decisions.device == "cuda":
        return f"{decisions.backend} {decisions.precision} on CUDA, windows of {by}"
    threads = counted(decisions.threads, "thread")
    name = decisions.backend
    if decisions.precision == "bfloat16":
        name += " bfloat16"
    return f"{name} on {decisions.device}, windows of {by}, {threads}"


def _notes(decisions: Decisions) -> tuple[str, ...]:
    notes = (decisions.note,) if decisions.note else ()
    return (*notes, *unreadable_remarks(decisions))
