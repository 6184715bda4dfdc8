"""Search for the somata of a labelled run, resumable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.job import fresh_part, open_derived
from blockseg.blockwise.derived.source import source_of
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import run
from blockseg.core.errors import ConfigError, LedgerError
from blockseg.core.text import blockseg_command, exact
from blockseg.io.chunk_memory import bytes_to_decode
from blockseg.io.open import open_volume
from blockseg.io.output.written_files import damaged_files, stored_below, stored_file
from blockseg.labelling.background import Background
from blockseg.labelling.somata.bodies import one_each
from blockseg.labelling.somata.grid import SomaGrid
from blockseg.labelling.somata.tables import (
    ANNOTATIONS,
    FILES,
    columns_of,
    write_somata,
)
from blockseg.labelling.somata.task import FindSomata, rows_of
from blockseg.labelling.tables import FOLDER
from blockseg.reports.write import end_with_report
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.job import Job, JobResult
    from blockseg.blockwise.run import OpenedJob
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.config.label_settings import LabelSettings
    from blockseg.config.settings import RunSettings
    from blockseg.core.stored_file import StoredFile
    from blockseg.io.output.provenance import Provenance

PART = "somata"
"""Name of the derived job."""

_BYTES_A_CELL = 64  # of a block with all that is read around it
_BYTES_HELD = 2**26
_TABLES = "tables"


@dataclass(frozen=True, slots=True)
class Somata:
    """Outcome of the search."""

    result: JobResult
    """Outcome of the pass over blocks."""

    count: int = 0
    """Somata that are listed."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""


def check_somata(
    run: FinishedRun, settings: LabelSettings
) -> tuple[Source, Background]:
    """Return the image and its background, if somata can be looked for in it.

    Parameters
    ----------
    run
        The run.
    settings
        What was asked.

    Raises
    ------
    ConfigError
        If something is missing; names it.
    VolumeError
        If the image is gone.
    """
    if not settings.image:
        message = "--somata looks at the image: give it without --no-image"
        raise ConfigError(message)
    if run.space.unit is None:
        message = (
            f"--somata: the voxel size of {run.out} is not known; give --voxel-size "
            "Z,Y,X"
        )
        raise ConfigError(message)
    background = Background.of(run)
    if background is None:
        message = (
            f"--somata: the run of {run.out} measured no noise, by which somata are "
            "judged; run again with --normalization auto"
        )
        raise ConfigError(message)
    source = source_of(run, "without it leave --somata out")
    SomaGrid.of(run, source.spec, settings.soma_radius)
    return source, background


def list_somata(
    out: str,
    settings: LabelSettings,
    execution: RunSettings,
    *,
    overwrite: bool,
    on_event: OnJobEvent,
    command: str,
) -> Somata:
    """List the cell bodies in the image of a run whose objects are labelled.

    Parameters
    ----------
    out
        Output of the run.
    settings, execution, overwrite, on_event, command
        As for :func:`find_somata`.

    Raises
    ------
    BlocksegError
        As :func:`find_somata`, or if OUT is no finished run.
    """
    with derived_from(out, PART, allow_partial=settings.allow_partial) as finished:
        found = find_somata(
            finished,
            settings,
            execution,
            overwrite=overwrite,
            on_event=on_event,
            command=command,
        )
    end_with_report(found.result.out, on_event, wanted=execution.report)
    return found


def find_somata(
    finished: FinishedRun,
    settings: LabelSettings,
    execution: RunSettings,
    *,
    overwrite: bool,
    on_event: OnJobEvent,
    command: str,
) -> Somata:
    """List the cell bodies in the image of a run.

    Parameters
    ----------
    finished
        Run, held by the caller, whose objects are labelled.
    settings
        What counts as a soma.
    execution
        Of these, those of execution count.
    overwrite
        Start over if somata were found by other settings or beside other labels.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if something does not fit.
    """
    source, background = check_somata(finished, settings)
    where = SomaGrid.of(finished, source.spec, settings.soma_radius)
    low, high = settings.soma_radius
    made = finished.provenance(
        labels=fresh_part(finished, "label", blockseg_command("label", finished.out)),
        soma_radius=f"{exact(low)},{exact(high)}",
        soma_snr=settings.soma_snr,
        image=where.description,
    )
    paths = Paths(finished.out, PART, owns=tuple(f"{FOLDER}/{name}" for name in FILES))

    def opened(*, anew: bool) -> OpenedJob:
        return open_derived(
            finished,
            paths,
            made,
            execution,
            source=source,
            overwrite=anew,
            on_event=on_event,
            command=command,
        )

    try:
        begun = opened(anew=False)
    except LedgerError:
        if not overwrite:
            raise
        begun = opened(anew=True)
    if begun.earlier is not None:  # its blocks stay as they are
        grid = replace(where.blocks, block_shape=begun.earlier.block)
        where = replace(where, blocks=grid)
    task = FindSomata(
        where,
        background,
        settings.soma_snr,
        finished.image(),
        finished.image("labels/components"),
        finished.space.voxel_size,
    )
    window = prod(where.blocks.numbered(0).write_roi.grown(where.blocks.halo).shape)
    need = Need(
        _BYTES_A_CELL * window, _BYTES_HELD, bytes_to_decode(open_volume(where.volume))
    )
    job = begun.job(task, layout_for(execution, need))
    result = run(job, on_event, engine="looking for somata")
    if not result.complete:
        return Somata(result)
    rows = one_each(rows_of(job.payloads()), where.scales.spacing)
    notes = _write(finished, job, rows, where, made)
    return Somata(result, len(rows), notes)


def _write(
    finished: FinishedRun,
    job: Job,
    rows: NDArray[np.void],
    where: SomaGrid,
    made: Provenance,
) -> tuple[str, ...]:
    """Write the tables, unless they are there."""
    out, space = finished.out, finished.space
    place = np.array([where.in_output(p) for p in rows["place"].tolist()])
    place = place.reshape(-1, 3) * np.array(space.voxel_size) + space.translation
    with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
        known = list(ledger.written.of(_TABLES))
        if known and not any(damaged_files(out, known)):
            return ()
        notes = write_somata(out / FOLDER, columns_of(rows, place), made)
        ledger.written.put(_TABLES, list(_written(finished)))
    return notes


def _written(finished: FinishedRun) -> Iterator[StoredFile]:
    for name in FILES:
        path = finished.out / FOLDER / name
        if name == ANNOTATIONS:
            yield from stored_below(finished.out, f"{FOLDER}/{name}")
        elif path.exists():
            yield stored_file(finished.out, f"{FOLDER}/{name}")
