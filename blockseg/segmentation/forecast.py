"""``blockseg plan``: what a run would take, before anything is written."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.resources import (
    make_grid,
    plan_resources,
    planned_decoding,
)
from blockseg.blockwise.record.skipping import sparse_forecast
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import to_zyx
from blockseg.core.specs import array_type
from blockseg.core.text import byte_count, counted, times
from blockseg.inference.backends.table import make_backend
from blockseg.io.chunk_memory import voxel_bytes
from blockseg.io.output.create import predicted_files
from blockseg.measurement.images import predicted_cube_files
from blockseg.runtime.events import Message
from blockseg.segmentation.cluster_forecast import of_cluster
from blockseg.segmentation.engines.choice import evaluation_lines, measured_speed
from blockseg.segmentation.engines.cpu_precision import may_gain
from blockseg.segmentation.known_rates import START_SECONDS, KnownRate, known_rate
from blockseg.segmentation.run import outside_lines, prepare

if TYPE_CHECKING:
    from blockseg.blockwise.job import Job
    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.planning.sparse_plan import SparsePlan
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import BlockGrid


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast of what a run would take."""

    out: str
    """Path that the result would have."""

    shape: Zyx
    """Voxels to write."""

    block: Zyx
    """Voxels of a block; also of a shard of level 0."""

    window: Zyx
    """Voxels that one inference writes."""

    blocks: int
    """Blocks that mask and ROI leave."""

    blocks_skipped: int
    """Blocks wholly outside of the mask, or of the tissue with ``--sparse``."""

    blocks_done: int
    """Blocks that an earlier session wrote; the hours below leave them out."""

    levels: int
    """Resolution levels of the output, the finest included."""

    shards: int
    """Shards of level 0, of probability and mask together."""

    files: int
    """Files in the output at most: empty shards have none."""

    bytes_read: int
    """Decoded bytes that blocks ask for, halo included."""

    bytes_decoded: int
    """Bytes decoded for that, in whole chunks, those that a worker still has from the
    blocks before not counted."""

    decoded_over_region: float
    """The same for each byte of the region; 1 where everything is decoded once."""

    cache_bytes: int
    """Decoded chunks that each worker keeps."""

    bytes_written: int
    """Bytes of all levels before compression."""

    computed_over_written: float
    """Voxels that windows write for each voxel kept: they may overhang a block."""

    work_over_one_pass: float
    """Multiply-adds for each one of a single pass over the whole region.

    Counts the overhang of windows and the margins that each computes anew.
    """

    backend: str
    """Engine."""

    workers: int
    """Worker processes."""

    threads: int
    """Threads of one inference."""

    worker_bytes: int
    """Peak memory of a worker, in bytes."""

    voxels_per_second: float
    """Measured on one window on this machine, times the workers; without a trial that of
    a machine like it. 0 if not known."""

    hours: float
    """At that speed, the start included; 0 if it is not known."""

    start_seconds: float = 0.0
    """Seconds until the first block: workers, and engines that are built."""

    rate_of: str = ""
    """Machine that the speed is of, where it is not this one."""

    sparse: SparsePlan | None = None
    """Savings of ``--sparse``, estimated for the whole volume, and their loss."""

    tried: tuple[str, ...] = ()
    """Outcome of each engine that was tried on a device, a line each."""

    remarks: tuple[str, ...] = ()
    """Remarks on the source, a line each."""

    cluster: tuple[str, ...] = ()
    """Forecast for the cluster of ``--cluster``, a line each."""

    gain: str = ""
    """Gain of ``--precision fast`` here, in one line; empty if none."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        sparse = None if self.sparse is None else self.sparse.summary_to_plain()
        return asdict(self) | {"sparse": sparse}

    def lines(self) -> list[str]:
        """Return the forecast for a human."""
        what = "mask" if self.sparse is None else "mask or the tissue"
        skipped = f", {self.blocks_skipped} outside the {what}"
        skipped = skipped if self.blocks_skipped else ""
        done = f", {self.blocks_done} done before" if self.blocks_done else ""
        kept = (
            f"{self.decoded_over_region:.2f} times the region; each worker keeps "
            f"{byte_count(self.cache_bytes)}"
        )
        lines = [
            f"output     {self.out}",
            f"volume     {times(self.shape)} voxels, {counted(self.levels, 'level')}",
            f"blocks     {self.blocks} of {times(self.block)}{skipped}{done}",
            f"files      at most {self.files:,}, of them {self.shards:,} shards of level 0",
            f"read       {byte_count(self.bytes_read)}, halo included",
            f"decoded    {byte_count(self.bytes_decoded)}, {kept}",
            f"written    {byte_count(self.bytes_written)} before compression",
            f"engine     {self.backend}, windows of {times(self.window)}",
            f"windows    {self.work_over_one_pass:.2f} times the work of one whole pass",
            f"workers    {self.workers} of at most {byte_count(self.worker_bytes)} each",
            f"threads    {self.threads} an inference",
        ]
        lines[1:1] = [f"source     {line}" for line in self.remarks]
        lines += [f"tried      {line}" for line in self.tried]
        lines += [f"precision  {line}" for line in (self.gain,) if line]
        lines += [f"sparse     {line}" for line in sparse_forecast(self.sparse)]
        lines.append(f"time       {self._time()}")
        return [*lines, *(f"cluster    {line}" for line in self.cluster)]

    def _time(self) -> str:
        if not self.voxels_per_second:
            return (
                "not known: engines of a GPU are timed where plan finds one, those of "
                "a CPU without --no-trial"
            )
        rate = f"{self.voxels_per_second / 1e6:.2f} million voxels/s"
        start = f"{self.start_seconds:.0f} s to start included"
        if self.rate_of:
            return (
                f"roughly {_hours(self.hours)} at {rate}, {start}: by runs on an "
                f"{self.rate_of}, scaled to this machine; without --no-trial it is measured"
            )
        return f"{_hours(self.hours)} at the measured {rate}, {start}"


def plan(
    source: str,
    out: str | None = None,
    settings: RunSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
    trial: bool = True,
) -> Forecast:
    """Foresee a run; reads the source's metadata and a sample, writes nothing.

    Parameters
    ----------
    source, out, settings
        As of :func:`blockseg.run`.
    on_event
        Told before what takes long.
    trial
        Whether to measure the network's speed here, which builds it and infers windows;
        without, the hours are those of a CPU like this one, which is rough. Engines of a
        device are tried all the same.

    Raises
    ------
    BlocksegError
        As :func:`blockseg.run` would, before it starts.
    """
    on_event(Message("reading a sample of the volume"))
    job, inputs, decisions = prepare(
        source, out, settings or RunSettings(), on_event=on_event, foresee=True
    )
    grid = job.main.grid
    layout = plan_resources(inputs, decisions)
    share = len(job.candidates) / len(grid)
    done = job.done_before()
    itemsize = voxel_bytes(inputs.source.volume)
    read = _read_voxels(grid)
    decoded = planned_decoding(inputs, decisions, layout)
    computed = _computed_voxels(grid, decisions.window)
    if trial:
        engine = f"{decisions.backend} on windows of {times(decisions.window)}"
        on_event(Message(f"measuring the speed of {engine}; --no-trial leaves it out"))
        speed = _speed(inputs, decisions)
    else:
        speed = _known(inputs, decisions)
    rate, start = speed.voxels_per_second * layout.workers, speed.start_seconds
    left = grid.region.size * share * (1 - done / max(len(job.candidates), 1))
    written = grid.region.size * share
    ratio = computed / grid.region.size
    found = decisions.sparse
    if found is not None and found.criteria is not None:
        # of the whole volume, what lies outside of the tissue included
        ratio, left = found.computed, left / (share or 1.0)
    return Forecast(
        out=str(job.paths.out),
        shape=grid.region.shape,
        block=decisions.block,
        window=decisions.window,
        blocks=len(job.candidates),
        blocks_skipped=len(grid) - len(job.candidates),
        blocks_done=done,
        levels=len(job.images[0].levels),
        shards=2 * len(job.candidates),
        files=_files(job) + predicted_cube_files(job, inputs.settings),
        bytes_read=round(read * itemsize * share),
        bytes_decoded=round(decoded * itemsize * share),
        decoded_over_region=decoded / grid.region.size,
        cache_bytes=layout.cache_bytes,
        bytes_written=round(
            2 * written * sum(8.0**-level.index for level in job.images[0].levels)
        ),
        computed_over_written=ratio,
        work_over_one_pass=work_over_one_pass(inputs, decisions),
        backend=decisions.backend,
        workers=layout.workers,
        threads=decisions.threads,
        worker_bytes=layout.peak_bytes,
        voxels_per_second=rate / ratio if ratio else 0.0,
        hours=(left * ratio / rate + start) / 3600 if rate else 0.0,
        start_seconds=start if rate else 0.0,
        rate_of=speed.source,
        sparse=found,
        tried=evaluation_lines(decisions),
        remarks=(*inputs.source.remarks, *outside_lines(job.record)),
        gain=_gain(inputs, decisions, rate / layout.workers) if trial else "",
        cluster=of_cluster(
            inputs.settings, left * ratio, rate / layout.workers, decisions.device
        ),
    )


def work_over_one_pass(inputs: Inputs, decisions: Decisions) -> float:
    """Return a run's multiply-adds for each one of a single pass over its region.

    Counted on the network, with the overhang of windows and the margins that each
    computes anew, at the volume's edges as well.
    """
    grid = make_grid(inputs, decisions.block)
    found = decisions.sparse
    if found is not None and found.criteria is not None:
        ratio = found.computed
    else:
        ratio = _computed_voxels(grid, decisions.window) / grid.region.size
    if inputs.weights is None:
        return ratio  # the fake engine looks no further than the core
    info = inputs.weights.info
    from blockseg.networks.cost import margin_cost

    return ratio * margin_cost(info.architecture, info.width, decisions.window)


def _files(job: Job) -> int:
    blocks = len(job.candidates)
    of_labels = {3: 1, 2: 2}[job.images[0].zarr_format]  # the group's own metadata
    return of_labels + sum(predicted_files(image, blocks) for image in job.images)


def _read_voxels(grid: BlockGrid) -> int:
    """Count the voxels that all blocks ask for.

    A block's read region is a box, so the sum over blocks is the product of the
    sums over each axis.
    """
    asked = 1
    for axis in range(3):
        lengths = 0
        for position in range(grid.counts[axis]):
            index = [0, 0, 0]
            index[axis] = position
            lengths += grid.block(to_zyx(index)).read_roi.shape[axis]
        asked *= lengths
    return asked


def _computed_voxels(grid: BlockGrid, window: Zyx) -> float:
    total = 1.0
    for axis in range(3):
        lengths = 0
        for position in range(grid.counts[axis]):
            index = [0, 0, 0]
            index[axis] = position
            roi = grid.block((index[0], index[1], index[2])).write_roi
            roi = roi.aligned(grid.alignment)
            length = roi.stop[axis] - roi.start[axis]
            lengths += math.ceil(length / window[axis]) * window[axis]
        total *= lengths
    return total


def _speed(inputs: Inputs, decisions: Decisions) -> KnownRate:
    """Return the speed of one engine, measured on one window of noise.

    For a device, what was measured when its engine was chosen.
    """
    known = _known(inputs, decisions)
    if decisions.device != "cpu":
        return known
    weights = "" if inputs.weights is None else str(inputs.weights.path)
    shape = tuple(n + 2 * inputs.field.reach for n in decisions.window)
    kind = array_type(decisions.precision)
    tile = np.random.default_rng(0).standard_normal(shape).astype(kind)
    begun = time.perf_counter()
    with closing(make_backend(decisions.engine(weights))) as backend:
        backend.infer(tile * np.float32(0.03), None)
        start = time.perf_counter()
        backend.infer(tile * np.float32(0.03), None)
        spent = time.perf_counter() - start
    built = max(0.0, start - begun - spent)  # the first window waits for what it needs
    return KnownRate(math.prod(decisions.window) / spent, START_SECONDS + built)


def _known(inputs: Inputs, decisions: Decisions) -> KnownRate:
    """Return the speed of one engine without computing anything."""
    if decisions.device != "cpu":
        return KnownRate(measured_speed(decisions), START_SECONDS)
    return known_rate(decisions, inputs.info)


def _gain(inputs: Inputs, decisions: Decisions, rate: float) -> str:
    """Return the gain of ``--precision fast``, measured like the speed itself."""
    if not may_gain(inputs.settings, decisions, inputs.info.architecture):
        return ""
    other = _speed(inputs, replace(decisions, precision="bfloat16"))
    return (
        f"--precision fast: {other.voxels_per_second / rate:.2f} times as fast on a window "
        "of noise here, in bfloat16; it is taken if masks agree with those of float32"
    )


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return (
            f"{hours * 3600:.0f} seconds" if hours * 3600 >= 1 else "less than a second"
        )
    return f"{hours * 60:.0f} minutes" if hours < 1 else f"{hours:.1f} hours"
