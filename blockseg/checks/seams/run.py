"""``blockseg audit-seams``: is the stitched result that of one pass over the volume."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.record.settings import recorded_settings
from blockseg.blockwise.sources.recorded import recorded_inputs
from blockseg.checks.jobs import run_of
from blockseg.checks.seams.faces import sample_faces, straddling, written_faces
from blockseg.config.checks_settings import AuditSettings
from blockseg.core.blocks import BlockState
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import STATE_CODES
from blockseg.segmentation.run import prepare_inputs
from blockseg.segmentation.task import Segmentation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.checks.jobs import StoredJob
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.io.protocol import Volume

_CACHE = 2**28


@dataclass(frozen=True, slots=True)
class AuditedWindow:
    """One window that was inferred again."""

    axis: str
    """Axis, z, y or x, across whose face it lies."""

    blocks: tuple[tuple[int, int, int], tuple[int, int, int]]
    """Positions of the two blocks in the grid."""

    roi: Roi
    """Voxels of it, in the source's coordinates."""

    voxels: int
    """Number of voxels in it."""

    foreground: int
    """Voxels of these in the mask that was inferred again."""

    different: int
    """Voxels whose probability byte is another one in OUT."""

    greatest: int
    """Greatest difference, of 255."""

    mask_different: int
    """Voxels that OUT's mask has otherwise."""

    note: str = ""
    """Departure of the engine from the plan; empty if there was none."""


@dataclass(frozen=True, slots=True)
class SeamAudit:
    """Outcome of an audit."""

    out: Path
    """The output."""

    windows: tuple[AuditedWindow, ...]
    """Windows that were inferred again."""

    faces: int
    """Faces between written blocks that they were chosen from."""

    @property
    def voxels(self) -> int:
        """Voxels that were compared."""
        return sum(window.voxels for window in self.windows)

    @property
    def different(self) -> int:
        """Voxels that differ."""
        return sum(window.different for window in self.windows)

    @property
    def greatest(self) -> int:
        """Greatest difference, of 255."""
        return max((window.greatest for window in self.windows), default=0)

    @property
    def exact(self) -> bool:
        """Whether nothing differs, in probability and mask."""
        return not any(one.different or one.mask_different for one in self.windows)

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        sums = {"voxels": self.voxels, "different": self.different}
        sums |= {"greatest": self.greatest, "exact": self.exact}
        windows = [asdict(one) | {"roi": str(one.roi)} for one in self.windows]
        return {"out": str(self.out), "faces": self.faces, **sums, "windows": windows}


def audit_seams(
    out: str,
    settings: AuditSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
) -> SeamAudit:
    """Infer windows across faces of blocks again, and compare them with the result.

    With the run's own weights, normalisation, engine and window, in this process. On the
    same kind of machine nothing differs: the result is that of one pass over the volume.

    Parameters
    ----------
    out
        Output of ``blockseg run``, finished or not: faces between blocks that are both
        written are looked at.
    settings
        How many windows, and which.
    on_event
        Told before what takes long.

    Raises
    ------
    BlocksegError
        If OUT is no result of a run, its source or weights are not there any more or
        have changed, or no two neighbouring blocks are written.
    """
    settings = settings or AuditSettings()
    job = run_of(out)
    task, window = _task(job)
    grid = task.grid
    with job.open() as ledger:
        states = ledger.states(task.name, len(grid))
        full = ledger.column(task.name, "nonzero", len(grid)) > 0
    done = states == STATE_CODES[BlockState.DONE]
    random = np.random.default_rng(settings.seed)
    every = written_faces(grid, done)
    if not every:
        message = (
            f"OUT {job.paths.out} has no two written blocks side by side: there is no "
            "seam to audit"
        )
        raise VolumeError(message)
    faces = sample_faces(every, full, settings.sample, random)
    on_event(Message(f"inferring {len(faces)} windows across faces of blocks again"))
    stored = _Stored.of(job.paths.on_disk, grid)
    actor = task.open(_CACHE)
    windows = []
    try:
        for face in faces:
            block = straddling(face, grid, window, random)
            inferred = actor.infer(block, lambda _: nullcontext())
            windows.append(
                _compared(
                    "zyx"[face.axis],
                    (grid.index_of(face.before), grid.index_of(face.behind)),
                    block,
                    inferred.probability,
                    task.threshold,
                    stored,
                    inferred.note,
                )
            )
    finally:
        actor.close()
    return SeamAudit(job.paths.on_disk, tuple(windows), len(every))


def _task(job: StoredJob) -> tuple[Segmentation, tuple[int, int, int]]:
    """Return the processing of a run's blocks, and the window of its engine."""
    record = job.record
    if record is None or record.phases[0].name != "segment":
        message = f"OUT {job.paths.out} is no output of blockseg run; give one that is"
        raise VolumeError(message)
    inputs = recorded_inputs(job.paths, record, recorded_settings(record))
    opened, decisions = prepare_inputs(inputs, foresee=True)
    task = opened.main.task
    if not opened.resumed or not isinstance(task, Segmentation):
        message = f"the record of OUT {job.paths.out} is not that of its run"
        raise LedgerError(message)
    return replace(task, scale=None), decisions.window


@dataclass(frozen=True, slots=True)
class _Stored:
    probability: Volume
    mask: Volume
    origin: Zyx

    @classmethod
    def of(cls, out: Path, grid: BlockGrid) -> _Stored:
        probability, mask = (
            open_volume(find(str(path), mask=True))
            for path in (out, out / "labels" / "foreground")
        )
        return cls(probability, mask, grid.region.start)

    def read(self, roi: Roi) -> tuple[NDArray[Any], NDArray[Any]]:
        inside = roi.shifted(-a for a in self.origin)
        return self.probability.read(inside), self.mask.read(inside)


def _compared(
    axis: str,
    blocks: tuple[tuple[int, int, int], tuple[int, int, int]],
    block: Block,
    again: NDArray[np.uint8],
    threshold: int,
    stored: _Stored,
    note: str,
) -> AuditedWindow:
    probability, mask = stored.read(block.write_roi)
    apart = np.abs(again.astype(np.int16) - probability)
    foreground = again >= threshold
    return AuditedWindow(
        axis=axis,
        blocks=blocks,
        roi=block.write_roi,
        voxels=again.size,
        foreground=int(np.count_nonzero(foreground)),
        different=int(np.count_nonzero(apart)),
        greatest=int(apart.max(initial=0)),
        mask_different=int(np.count_nonzero(foreground != (mask > 0))),
        note=note,
    )
