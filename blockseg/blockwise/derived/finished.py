"""A finished run, held and opened for a job that is derived from it."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.begun_anew import command_again
from blockseg.blockwise.derived.image import RunImage
from blockseg.blockwise.events import ignore
from blockseg.blockwise.outputs import absolute
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.record.earlier import refuse_lost_record
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.sources.damage import find_damage
from blockseg.core.blocks import BlockState
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.grid import BlockGrid
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.provenance import Provenance
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.runtime.ledger.ledger import STATE_CODES, Ledger
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.core.space import Space
    from blockseg.io.output.provenance import Parameter
    from blockseg.io.output.pyramid import OutputDtype
    from blockseg.runtime.ledger.rows import PhaseSummary

_MAIN = "segment"


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRun:
    """A run whose result other jobs work on; blocks have the numbers of the run's.

    All coordinates are voxels of the output: its first voxel is that of ``--roi``.
    """

    paths: Paths
    """Paths of the run's own files."""

    record: RunRecord
    """Record of the run; it stays as it is."""

    decisions: Decisions
    """Threshold, normalisation and all else that the run chose."""

    grid: BlockGrid
    """Blocks of the output, which are its shards."""

    space: Space
    """Voxel size and centre of the first voxel, ``--roi`` and ``--downsample`` included;
    in µm where ``space.unit`` says so."""

    done: NDArray[np.bool_]
    """Mask of the blocks that the run wrote."""

    foreground: NDArray[np.int64]
    """Voxels of foreground in each block; 0 where it is not done."""

    nonzero: NDArray[np.int64]
    """Voxels of a probability above 0 in each block; 0 where it is not done."""

    content: str
    """Digest of the voxels that the run wrote."""

    missing: int
    """Blocks that the run has yet to write; 0 without ``--allow-partial``."""

    @property
    def out(self) -> Path:
        """The output group."""
        return self.paths.on_disk

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user, a line each."""
        if not self.missing:
            return ()
        blocks = f"{self.missing} block{'s' * (self.missing > 1)}"
        return (f"{blocks} of the run are not written and count as background",)

    def image(self, within: str = "", level: int = 0) -> RunImage:
        """Return an image of the output, for the tasks of a job to open.

        Parameters
        ----------
        within
            Where in the output: empty for the probability, ``labels/foreground``.
        level
            Resolution level, 0 the finest.

        Raises
        ------
        VolumeError
            If there is none.
        """
        place = str(self.out / within) if within else str(self.out)
        absent = frozenset(np.flatnonzero(~self.done).tolist() if self.missing else ())
        return RunImage(find(place, mask=True, level=level), self.grid, absent)

    def provenance(self, **parameters: Parameter) -> Provenance:
        """Return the provenance of something made from this run now.

        Parameters
        ----------
        **parameters
            What else decides the result; dashes for underscores.
        """
        named = {name.replace("_", "-"): value for name, value in parameters.items()}
        return Provenance(
            self.record.fingerprint,
            self.content,
            self.decisions.threshold,
            self.missing,
            tuple(named.items()),
        )

    def label_image(
        self,
        name: str,
        dtype: OutputDtype,
        provenance: Provenance,
        *,
        checked: bool,
        whole_chunks: bool = False,
    ) -> PyramidSpec:
        """Return a label image ``labels/NAME`` of the run's shape, blocks and format.

        A coarse label is the greatest below it: a label stays a label, and thin objects
        stay.

        Parameters
        ----------
        name
            Of the image.
        dtype
            Of its voxels.
        provenance
            What it is made from.
        checked, whole_chunks
            As of :class:`~blockseg.io.output.pyramid.PyramidSpec`.
        """
        within = f"labels/{name}"
        return PyramidSpec(
            uri=str(self.out / within),
            shape=self.grid.volume_shape,
            block=self.grid.block_shape,
            dtype=dtype,
            space=self.space,
            zarr_format=self.record.zarr_format,
            codec=self.record.codec,
            reduce="max",
            name=name,
            within=within,
            checked=checked,
            provenance=provenance,
            whole_chunks=whole_chunks,
        )


@contextmanager
def derived_from(out: str, part: str, *, allow_partial: bool) -> Iterator[FinishedRun]:
    """Hold an output for a derived job, and give the run whose result it works on.

    Parameters
    ----------
    out
        Output of ``blockseg run``.
    part
        Name of the derived job.
    allow_partial
        Whether blocks that the run has not written may count as background.

    Raises
    ------
    VolumeError
        If there is no such output, or it is none of a run.
    LedgerError
        If the run is under way, incomplete or damaged, or its ledger cannot be read.
    """
    paths = Paths(absolute(out))
    _record(paths)
    with RunLock(paths.lock, part):
        yield _finished(paths, _record(paths), allow_partial=allow_partial)


def _record(paths: Paths) -> RunRecord:
    record = RunRecord.of(paths) if paths.folder.is_dir() else None
    if record is None and paths.folder.is_dir():
        refuse_lost_record(paths)
    if record is None or record.phases[0].name != _MAIN:
        message = f"OUT {paths.out} is no output of blockseg run; give one that is"
        raise VolumeError(message)
    return record


def _finished(paths: Paths, record: RunRecord, *, allow_partial: bool) -> FinishedRun:
    volume = open_volume(find(str(paths.out), mask=True))
    grid = BlockGrid(volume.shape, record.block)
    count = len(grid)
    ledger_path = Path(record.execution.get("ledger") or paths.ledger)
    with Ledger.read(ledger_path, record.fingerprint) as ledger:
        damage = find_damage(paths.out, ledger, ignore)
        summaries = [ledger.summary(phase.name) for phase in record.phases]
        done = ledger.states(_MAIN, count) == STATE_CODES[BlockState.DONE]
        content = content_of(ledger, count)
        foreground = ledger.column(_MAIN, "foreground", count)
        nonzero = ledger.column(_MAIN, "nonzero", count)
    again = command_again(record, ledger_path, paths.out) or "blockseg run"
    if damage.files:
        message = (
            f"{damage.counted()} damaged: {damage.described()}; what is damaged is made "
            f"anew by: {again}"
        )
        raise LedgerError(message)
    missing = record.phases[0].blocks - summaries[0].done
    if not allow_partial and not _complete(record, summaries):
        message = (
            f"the run of {paths.out} is not complete ({missing} of "
            f"{record.phases[0].blocks} blocks are not written); finish it with: {again}; "
            "or take what is missing for background with --allow-partial"
        )
        raise LedgerError(message)
    return FinishedRun(
        paths=paths,
        record=record,
        decisions=decisions_from(record.decisions),
        grid=grid,
        space=volume.space,
        done=done,
        foreground=foreground,
        nonzero=nonzero,
        content=content,
        missing=missing,
    )


def content_of(ledger: Ledger, count: int) -> str:
    """Return the digest of the voxels that a run wrote.

    Parameters
    ----------
    ledger
        Of the run.
    count
        Blocks of its grid.
    """
    done = ledger.states(_MAIN, count) == STATE_CODES[BlockState.DONE]
    seen = hashlib.sha256(np.packbits(done).tobytes())
    seen.update(ledger.column(_MAIN, "digest", count).astype("<i8").tobytes())
    return seen.hexdigest()


def _complete(record: RunRecord, summaries: list[PhaseSummary]) -> bool:
    return all(
        summary.done == phase.blocks
        for phase, summary in zip(record.phases, summaries, strict=True)
    )
