"""The counts of a run's cells, read back from its ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import LedgerError, VolumeError
from blockseg.jobs.record import Paths, RunRecord
from blockseg.metrics import CellTable, GreyScale, cells_from_bytes, joined
from blockseg.runtime import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx

__all__ = ["load_cells", "scale_from"]

_TOGETHER = 2**13  # cells that are added up at a time


def load_cells(
    out: Path, cells: Zyx | None = None, origin: Zyx = (0, 0, 0)
) -> CellTable:
    """Return the cells of all blocks that are done, of ``run`` or ``metrics``.

    Parameters
    ----------
    out
        The output group.
    cells
        Return boxes of so many cells along (z, y, x) instead, as
        :meth:`~blockseg.metrics.CellTable.boxes` does, without ever holding all cells:
        a cell takes 2 KiB of memory.
    origin
        Index of the first cell of the box with the index (0, 0, 0).

    Raises
    ------
    VolumeError
        If there is no such output, or it is none of ours.
    LedgerError
        If its ledger cannot be read, or its blocks were not measured.
    """
    paths = Paths(Path(out).expanduser().absolute())
    record = RunRecord.load(paths.record) if paths.folder.is_dir() else None
    if record is None:
        message = f"{paths.out} is no output of blockseg run or blockseg metrics"
        raise VolumeError(message)
    kept = record.decisions.get("cells")
    if kept is None:
        raise _none(paths)
    ledger = Path(record.execution.get("ledger") or paths.ledger)
    phase = record.facts["phases"][0]["name"]
    found: list[CellTable] = []
    for table in _batches(ledger, record.fingerprint, phase, kept):
        found.append(table if cells is None else table.boxes(cells, origin))
        if cells is not None and len(found) > 1:
            found = [joined(found)]
    if not found:
        raise _none(paths)
    return joined(found)


def scale_from(kept: dict[str, Any]) -> tuple[GreyScale, bool]:
    """Return the grey scale as ``run.json`` keeps it, and whether F was predicted."""
    values = {name: value for name, value in kept.items() if name != "predicted"}
    limit = values["saturation"]
    scale = GreyScale(
        **{**values, "saturation": float("inf" if limit is None else limit)}
    )
    return scale, bool(kept["predicted"])


def _batches(
    path: Path, fingerprint: str, phase: str, kept: dict[str, Any]
) -> Iterator[CellTable]:
    scale, predicted = scale_from(kept)
    waiting: list[CellTable] = []
    with Ledger.read(path, fingerprint) as ledger:
        for _, payload in ledger.payloads(phase):
            waiting.append(cells_from_bytes(payload, scale, predicted=predicted))
            if sum(map(len, waiting)) >= _TOGETHER:
                yield joined(waiting)
                waiting = []
    if waiting:
        yield joined(waiting)


def _none(paths: Paths) -> LedgerError:
    message = (
        f"no block of {paths.out} was measured; run it without --no-metrics, or use "
        "blockseg metrics"
    )
    return LedgerError(message)
