"""Counts of a run's cubes, read back from its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.blockwise.record.earlier import refuse_lost_record
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.dhpr.cube_bytes import cubes_from_bytes
from blockseg.dhpr.cubes import CubeTable, joined
from blockseg.measurement.grey_scale import measured_cubes
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.dhpr.grey_scale import GreyScale
    from blockseg.io.stores.location import Location

_TOGETHER = 2**13  # cubes that are added up at a time


@dataclass(frozen=True, slots=True)
class CubeSource:
    """Where the cubes of a run are kept."""

    ledger: Path
    """The file."""

    fingerprint: str
    """Fingerprint of the run."""

    phase: str
    """Whose blocks they belong to."""

    scale: GreyScale
    """Meaning of their codes."""

    predicted: bool
    """Whether F comes from a network."""

    @classmethod
    def of(cls, paths: Paths) -> CubeSource | None:
        """Return that of an output; None if it was begun without metrics.

        Raises
        ------
        VolumeError
            If there is no such output, or it is none of ours.
        """
        record = RunRecord.of(paths) if paths.folder.is_dir() else None
        if record is None:
            refuse_lost_record(paths)
            message = f"{paths.out} is no output of blockseg run or blockseg metrics"
            raise VolumeError(message)
        measured = measured_cubes(record)
        if measured is None:
            return None
        return cls(
            ledger=Path(record.execution.get("ledger") or paths.ledger),
            fingerprint=record.fingerprint,
            phase=record.phases[0].name,
            scale=measured.scale,
            predicted=measured.predicted,
        )

    def tables(self) -> Iterator[CubeTable]:
        """Yield the cubes of all blocks that are done, some thousand at a time.

        A cube that blocks cut may come in several parts, in one table or more.

        Raises
        ------
        LedgerError
            If they cannot be read.
        """
        waiting: list[CubeTable] = []
        rows = 0
        with Ledger.read(self.ledger, self.fingerprint) as ledger:
            for _, payload in ledger.payloads(self.phase):
                part = cubes_from_bytes(payload, self.scale, predicted=self.predicted)
                waiting.append(part)
                rows += len(part)
                if rows >= _TOGETHER:
                    yield joined(waiting)
                    waiting, rows = [], 0
        if waiting:
            yield joined(waiting)


def load_cubes(
    out: str | Location, counts: Zyx | None = None, origin: Zyx = (0, 0, 0)
) -> CubeTable:
    """Return the cubes of all blocks that are done, of ``run`` or ``metrics``.

    Parameters
    ----------
    out
        The output group.
    counts
        Return boxes of so many cubes along (z, y, x) instead, as
        :meth:`~blockseg.dhpr.cubes.CubeTable.boxes` does, without ever holding all cubes:
        a cube takes 2 KiB of memory, a box 4.
    origin
        Index of the first cube of the box with the index (0, 0, 0).

    Raises
    ------
    VolumeError
        If there is no such output, or it is none of ours.
    LedgerError
        If its ledger cannot be read, or none of its blocks was measured.
    """
    paths = paths_of(out)
    source = CubeSource.of(paths)
    found: list[CubeTable] = []
    rows, limit = 0, _TOGETHER
    for table in () if source is None else source.tables():
        found.append(table if counts is None else table.boxes(counts, origin))
        rows += len(found[-1])
        if counts is not None and rows > limit:
            found = [joined(found)]
            rows = len(found[0])
            limit = 2 * rows + _TOGETHER  # so that most rows are copied a few times
    if not found:
        message = (
            f"no block of {paths.out} was measured; run it without --no-metrics, or use "
            "blockseg metrics"
        )
        raise LedgerError(message)
    return joined(found)
