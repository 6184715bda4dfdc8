"""Another threshold in record and ledger of a run, before its mask is made anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.begun_anew import ledger_of
from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.record.record import COPY, Paths, RunRecord
from blockseg.blockwise.sources.recorded import recorded_source
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.source_files.fingerprint import differences
from blockseg.measurement.grey_scale import measured_cubes
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.run_lock import RunLock
from blockseg.segmentation.images import FOREGROUND

if TYPE_CHECKING:
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.sources.inputs import Source

PURPOSE = "threshold"
"""Name under which the output is held."""

_BLOCKS = "blocks"  # folder of the metrics' images


def begin(paths: Paths, probability: float, command: str, *, metrics: bool) -> None:
    """Enter another threshold into record and ledger, unless that was done before.

    Parameters
    ----------
    paths
        Of the run.
    probability
        Probability from which a voxel is foreground.
    command
        Command that goes on with it, for messages.
    metrics
        Whether to count metrics anew; else they are dropped.

    Raises
    ------
    LedgerError
        If the run is incomplete or damaged, or is given yet another threshold.
    VolumeError
        If there is no such run, or metrics need an image that is gone.
    """
    byte = int(np.rint(255 * probability))
    if paths.folder.is_dir():
        with RunLock(paths.lock, PURPOSE):
            going_on = restored(paths)
        if going_on:
            found = record_of(paths)
            if found.request["settings"]["threshold"] != probability:
                message = (
                    f"{paths.name} is given another threshold, and that is not "
                    f"finished; finish it first, with: {going_on}"
                )
                raise LedgerError(message)
            return
    with derived_from(str(paths.out), PURPOSE, allow_partial=False) as finished:
        record = finished.record
        measured = measured_cubes(record) is not None
        same = record.request["settings"].get("threshold") == probability
        if same and (metrics or not measured):
            return
        if metrics and measured:
            sources_of(paths, record)  # before anything is written
        new = _with_threshold(record, probability, byte, metrics=metrics)
        _convert(finished, new, command, payloads=metrics and measured)


def _convert(
    finished: FinishedRun, new: RunRecord, command: str, *, payloads: bool
) -> None:
    """Make the blocks pending, in the ledger first: a kill leaves the record's copy."""
    record, paths = finished.record, finished.paths
    main = record.phases[0].name
    coarse = [phase.name for phase in record.phases if "-foreground-" in phase.name]
    meta = {"fingerprint": new.fingerprint, COPY: new.to_text()}
    with Ledger.open(ledger_of(paths, record), record.fingerprint) as ledger:
        ledger.aside.begin(main, command, FOREGROUND, coarse, meta, payloads=payloads)
        if not payloads:
            ledger.written.put(_BLOCKS, ())
    if not payloads:
        shutil.rmtree(paths.on_disk / _BLOCKS, ignore_errors=True)
    new.save(paths.record)


def _with_threshold(
    record: RunRecord, probability: float, byte: int, *, metrics: bool
) -> RunRecord:
    settings = {**record.request["settings"], "threshold": probability}
    facts = {
        **record.facts,
        "threshold_of_255": byte,
        "effective_threshold": (byte - 0.5) / 255,
    }
    if not metrics:
        facts["cells"] = None
    return replace(
        record,
        request={**record.request, "settings": settings},
        decisions={**record.decisions, "threshold": byte},
        facts=facts,
    )


def restored(paths: Paths) -> str:
    """Return the command that goes on with what was begun; empty if nothing was.

    The record is as it was entered then, whenever the driver was killed.

    Parameters
    ----------
    paths
        Of the run, which the caller holds.
    """
    record = RunRecord.of(paths)
    path = paths.ledger if record is None else ledger_of(paths, record)
    if not path.exists():
        return ""
    with Ledger.read(path) as ledger:
        begun, copy = ledger.aside.begun, ledger.get(COPY) or ""
        other = record is None or ledger.fingerprint != record.fingerprint
    if begun and other:
        RunRecord.from_text(copy, paths.record)
        replace_file(paths.record, copy.encode())
    return begun


def record_of(paths: Paths) -> RunRecord:
    """Return the record of a run.

    Raises
    ------
    LedgerError
        If it is gone.
    """
    record = RunRecord.of(paths)
    if record is None:
        message = f"{paths.record} is gone; put it back from a copy"
        raise LedgerError(message)
    return record


def sources_of(paths: Paths, record: RunRecord) -> dict[str, Source]:
    """Open what the run read, if it is still the same.

    Raises
    ------
    VolumeError
        If it is gone or has changed.
    """
    found = {}
    for name in ("source", "mask"):
        try:
            source = recorded_source(paths, record, name)
        except VolumeError as error:
            message = f"{error}; --no-metrics does without it"
            raise VolumeError(message) from error
        if source is None:
            continue
        was = record.request[name]["fingerprint"]
        changed = differences(was, source.fingerprint, data=False)
        if changed:
            message = (
                f"the {name} changed since the run: {changed[0]}; --no-metrics does "
                "without it"
            )
            raise VolumeError(message)
        found[name] = source
    return found
