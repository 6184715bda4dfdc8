"""``blockseg debug``: a block that fails, taken out of its run and looked at alone."""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.logs.reading import read_logs
from blockseg.blockwise.outputs import writable
from blockseg.blockwise.record.settings import recorded_settings
from blockseg.blockwise.sources.recorded import recorded_inputs
from blockseg.checks.debugging.bundle import Bundle, new_bundle
from blockseg.checks.jobs import run_of
from blockseg.config.checks_settings import DebugSettings
from blockseg.core.errors import BlocksegError, ConfigError, VolumeError
from blockseg.core.text import one_line
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.runtime.attempt import Stopwatch
from blockseg.runtime.events import Message
from blockseg.segmentation.run import prepare_inputs
from blockseg.segmentation.task import Segmentation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.blockwise.job import Job
    from blockseg.checks.jobs import StoredJob
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import Block
    from blockseg.runtime.ledger.rows import FailedBlock

_CACHE = 2**28
_LOG_LINES = 10_000
_ENDING = ".zip"


@dataclass(frozen=True, slots=True)
class Debugged:
    """Outcome of looking at one block."""

    block: tuple[int, int, int]
    """Position in the run's grid, (z, y, x)."""

    bundle: Path
    """Zip file with all that is known of it."""

    state: str
    """State in the ledger: ``done``, ``failed`` or ``pending``."""

    error: str = ""
    """Error in the ledger, one line; empty if there is none."""

    traceback: str = ""
    """Traceback of the rerun; empty if it went through, or was not asked for."""

    seconds: tuple[tuple[str, float], ...] = ()
    """Wall seconds of the rerun by activity."""

    different: int | None = None
    """Voxels of the rerun that OUT holds otherwise; None where either is missing."""

    @property
    def passed(self) -> bool:
        """Whether the rerun did not fail."""
        return not self.traceback


def debug(
    out: str,
    settings: DebugSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
) -> Debugged:
    """Put all that is known of a block into a zip file, and run the block alone.

    The rerun is in this process, without Dask and without a second try; nothing is
    written to OUT.

    Parameters
    ----------
    out
        Output of ``blockseg run``.
    settings
        Which block, and where the file goes.
    on_event
        Told before what takes long.

    Raises
    ------
    BlocksegError
        If OUT is no result of a run, there is no such block, or the file cannot be
        written. Whatever the block itself raises is in the result.
    """
    settings = settings or DebugSettings()
    job = run_of(out)
    opened, task = _prepared(job)
    block, failed, state = _block(job, opened, settings.block)
    z, y, x = block.index
    name = f"{job.paths.out.name}.block-{z}-{y}-{x}{_ENDING}"
    path = writable(settings.bundle or job.paths.on_disk.with_name(name), "BUNDLE")
    found = Debugged(block.index, path, state, "" if failed is None else failed.error)
    with new_bundle(path) as bundle:
        bundle.surroundings()
        bundle.text("run.json", job.record.to_text() if job.record else "")
        bundle.json("block.json", _described(block, state, failed))
        if failed is not None:
            bundle.text("traceback.txt", failed.traceback)
        lines = (json.dumps(line, default=str) for line in _log(out, block.index))
        bundle.text("log.jsonl", "".join(f"{line}\n" for line in lines))
        on_event(Message(f"reading the voxels of block {block.index}"))
        _add_input(task, block, bundle)
        if settings.rerun:
            on_event(Message(f"running block {block.index} alone"))
            found = _rerun(task, block, found, bundle, job.paths.on_disk)
    return found


def _prepared(job: StoredJob) -> tuple[Job, Segmentation]:
    record = job.record
    if record is None or record.phases[0].name != "segment":
        message = f"OUT {job.paths.out} is no output of blockseg run; give one that is"
        raise VolumeError(message)
    inputs = recorded_inputs(job.paths, record, recorded_settings(record))
    opened, _ = prepare_inputs(inputs, foresee=True)
    task = opened.main.task
    if not isinstance(task, Segmentation):
        message = f"OUT {job.paths.out} is no output of blockseg run; give one that is"
        raise VolumeError(message)
    return opened, task


def _block(
    job: StoredJob, opened: Job, asked: Zyx | None
) -> tuple[Block, FailedBlock | None, str]:
    """Return the block, its row if it failed, and its state."""
    grid, name = opened.main.grid, opened.main.name
    with job.open() as ledger:
        failures = ledger.failures(name)
        if asked is None and not failures:
            message = (
                f"no block of OUT {job.paths.out} is in quarantine; name one with "
                "--block Z,Y,X"
            )
            raise ConfigError(message)
        index = grid.index_of(failures[0].block_id) if asked is None else asked
        if any(i >= n for i, n in zip(index, grid.counts, strict=True)):
            counts = ",".join(map(str, grid.counts))
            message = (
                f"--block {','.join(map(str, index))}: the grid has {counts} blocks along "
                "z,y,x, counted from 0"
            )
            raise ConfigError(message)
        block = grid.block(index)
        row = next((one for one in failures if one.block_id == block.number), None)
        pending = len(ledger.pending(name, [block.number]))
    state = "failed" if row is not None else "pending" if pending else "done"
    return block, row, state


def _described(block: Block, state: str, failed: FailedBlock | None) -> dict[str, Any]:
    return {
        "index": list(block.index),
        "number": block.number,
        "write_roi": str(block.write_roi),
        "read_roi": str(block.read_roi),
        "state": state,
        "failure": None if failed is None else asdict(failed),
    }


def _log(out: str, index: Zyx) -> Iterator[dict[str, Any]]:
    """Yield what the logs tell of a block, and of the starts of the run."""
    try:
        lines = [line for line in read_logs(out) if line.block is None]
        lines += list(read_logs(out, index))
    except VolumeError:
        return  # there are none
    lines.sort(key=lambda line: line.time)
    for line in lines[-_LOG_LINES:]:
        yield line.to_plain()


def _add_input(task: Segmentation, block: Block, bundle: Bundle) -> None:
    try:
        voxels = open_volume(task.reading.source).read(block.read_roi)
    except BlocksegError as error:
        bundle.text("input-error.txt", f"{error}\n")
        return
    bundle.array("input.npy", voxels)


def _rerun(
    task: Segmentation, block: Block, found: Debugged, bundle: Bundle, out: Path
) -> Debugged:
    watch = Stopwatch()
    try:
        actor = replace(task, restored=False).open(_CACHE)
        try:
            inferred = actor.infer(block, watch)
        finally:
            actor.close()
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is wanted
        text = "".join(traceback.format_exception(error))
        bundle.text("rerun.txt", text)
        return replace(found, traceback=text, error=found.error or one_line(error))
    bundle.array("output.npy", inferred.probability)
    different = None
    if found.state == "done":
        different = _different(task, block, inferred.probability, out)
    said = [f"{name}: {spent:.3f} s" for name, spent in watch.seconds]
    if different is not None:
        said.append(f"voxels that OUT holds otherwise: {different}")
    bundle.text("rerun.txt", "\n".join(said) + "\n")
    return replace(found, seconds=watch.seconds, different=different)


def _different(
    task: Segmentation, block: Block, again: NDArray[np.uint8], out: Path
) -> int | None:
    roi = block.write_roi.shifted(-a for a in task.grid.region.start)
    try:
        stored = open_volume(find(str(out), mask=True)).read(roi)
    except VolumeError:
        return None
    return int(np.count_nonzero(stored != again))
