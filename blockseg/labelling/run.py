"""``blockseg label``: objects of a finished run, whole across blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.config.label_settings import LabelSettings
from blockseg.config.settings import RunSettings
from blockseg.labelling.somata.run import check_somata, find_somata
from blockseg.labelling.work import PART, Labelling
from blockseg.reports.write import end_with_report
from blockseg.runtime.dask.kept import same_workers

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult


@dataclass(frozen=True, slots=True)
class Labelled:
    """Outcome of ``blockseg label``."""

    result: JobResult
    """Blocks that were done, and those that were not."""

    objects: int = 0
    """Objects in ``labels/components``."""

    clean: int = 0
    """Those of them in ``labels/foreground_clean``."""

    length_um: float | None = None
    """Estimated length of the clean ones, in µm; None where the voxel size is unknown."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    somata: int | None = None
    """Cell bodies in ``tables/somata.csv``; None where they were not asked for."""

    @property
    def complete(self) -> bool:
        """Whether everything is written."""
        return self.result.complete


def label(
    out: str,
    settings: LabelSettings | None = None,
    execution: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Labelled:
    """Label the objects of a finished run, or go on with what was stopped.

    Writes ``labels/components`` with all objects, ``labels/foreground_clean`` with those
    that pass, and ``tables/objects.csv`` with what is known of each.

    Parameters
    ----------
    out
        Output of :func:`blockseg.run`.
    settings
        What is an object, and which are clean; whether to list somata.
    execution
        Of these, those of execution count.
    overwrite
        Start over if OUT holds earlier labels. Where nothing but the filters differs,
        ``labels/components`` stays.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if OUT or a setting does not fit.
    """
    settings = settings or LabelSettings()
    execution = execution or RunSettings()
    found = _labelled(out, settings, execution, overwrite, on_event, command)
    end_with_report(found.result.out, on_event, wanted=execution.report)
    return found


def _labelled(
    out: str,
    settings: LabelSettings,
    execution: RunSettings,
    overwrite: bool,
    on_event: OnJobEvent,
    command: str,
) -> Labelled:
    with (
        same_workers(),
        derived_from(out, PART, allow_partial=settings.allow_partial) as finished,
    ):
        if settings.somata:
            check_somata(finished, settings)
        work = Labelling.of(finished, settings, execution, on_event, command)
        result, sums = work.do(overwrite=overwrite)
        if sums is None:
            return Labelled(result)
        found = Labelled(result, sums.objects, sums.clean, sums.length, sums.notes)
        if not settings.somata:
            return found
        somata = find_somata(
            finished,
            settings,
            execution,
            overwrite=overwrite,
            on_event=on_event,
            command=command,
        )
        notes = tuple(dict.fromkeys((*found.notes, *somata.notes)))
        if not somata.result.complete:
            return replace(found, result=somata.result, notes=notes)
        return replace(found, somata=somata.count, notes=notes)
