"""Voxel size of a finished run, given afterwards: by ``label`` and ``skeletonize``."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.begun_anew import ledger_of
from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.staleness import MADE_FROM
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import absolute
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.record.record import COPY, Paths, RunRecord
from blockseg.blockwise.record.settings import recorded_settings
from blockseg.blockwise.sources.damage import METADATA
from blockseg.config.label_settings import LabelSettings
from blockseg.config.merging import read_settings
from blockseg.core.errors import ConfigError, LedgerError
from blockseg.core.text import blockseg_command, exact, times
from blockseg.io.output.create import create_output
from blockseg.io.output.provenance import Provenance
from blockseg.labelling.run import label as label_job
from blockseg.labelling.work import PART as LABEL
from blockseg.measurement.images import write_cubes
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.run_lock import RunLock
from blockseg.segmentation.images import run_images
from blockseg.skeletonization.run import skeletonize as skeletonize_job

if TYPE_CHECKING:
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.config.settings import RunSettings
    from blockseg.config.skeletonize_settings import SkeletonizeSettings
    from blockseg.core.space import Space, Vector
    from blockseg.labelling.run import Labelled
    from blockseg.skeletonization.run import Skeletonized

_PURPOSE = "voxel size"


def label(
    out: str,
    settings: LabelSettings | None = None,
    execution: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Labelled:
    """Label a run, after giving it the voxel size of ``execution``, if there is one.

    Parameters
    ----------
    out, settings, overwrite, on_event, command
        As of :func:`blockseg.labelling.run.label`.
    execution
        Of these, those of execution count, and the voxel size.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if OUT or an option does not fit.
    """
    settings = settings or LabelSettings()
    size = None if execution is None else execution.voxel_size
    if size is not None:
        partial = settings.allow_partial
        give_voxel_size(out, size, overwrite=overwrite, allow_partial=partial)
        overwrite |= _labelled_before(Paths(absolute(out)))
    return label_job(
        out,
        settings,
        execution,
        overwrite=overwrite,
        on_event=on_event,
        command=command,
    )


def skeletonize(
    out: str,
    traces: str | None = None,
    chosen: SkeletonizeSettings | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Skeletonized:
    """Trace a run, after giving it the voxel size of ``settings``, if there is one.

    Objects that were labelled without it are labelled again first, by the same options.

    Parameters
    ----------
    out, traces, chosen, overwrite, on_event, command
        As of :func:`blockseg.skeletonization.run.skeletonize`.
    settings
        Of these, those of execution count, and the voxel size.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if OUT or an option does not fit.
    """
    size = None if settings is None else settings.voxel_size
    if settings is not None and size is not None:
        partial = chosen is not None and chosen.allow_partial
        paths = Paths(absolute(out))
        labelled = RunRecord.of(Paths(paths.out, LABEL))
        if labelled is None:
            given = ",".join(map(exact, size))
            find = blockseg_command("label", out, "--voxel-size", given)
            message = (
                f"OUT {out} has no objects to trace; find them first, with: {find}"
            )
            raise ConfigError(message)
        give_voxel_size(out, size, overwrite=overwrite, allow_partial=partial)
        if _labelled_before(paths):
            on_event(Message("Objects are labelled again, as their lengths change."))
            label_job(
                out,
                _labelled_by(labelled, allow_partial=partial),
                replace(settings, report=False),
                overwrite=True,
                on_event=on_event,
                command=command,
            )
    return skeletonize_job(
        out,
        traces,
        chosen,
        settings,
        overwrite=overwrite,
        on_event=on_event,
        command=command,
    )


def give_voxel_size(
    out: str,
    size: Vector,
    *,
    overwrite: bool = False,
    allow_partial: bool = False,
) -> None:
    """Give a finished run the voxel size that its source does not state.

    ``OUT`` is then what :func:`blockseg.run` with that voxel size would have written. No
    voxel changes; what was labelled or traced before is stale.

    Parameters
    ----------
    out
        Output of :func:`blockseg.run`.
    size
        Edge lengths of a voxel of the source along (z, y, x), in µm.
    overwrite
        Replace a voxel size that the run has already.
    allow_partial
        Whether blocks may be missing.

    Raises
    ------
    ConfigError
        If the run has another voxel size, which ``overwrite`` alone replaces.
    LedgerError
        If the run is under way, incomplete or damaged.
    """
    paths = Paths(absolute(out))
    if paths.folder.is_dir():
        with RunLock(paths.lock, _PURPOSE):
            _recover(paths)
    with derived_from(out, _PURPOSE, allow_partial=allow_partial) as finished:
        old = finished.record
        kept = old.source
        if kept is None:
            message = f"{paths.record} does not say what was segmented"
            raise LedgerError(message)
        factors = kept.spec.downsample
        z, y, x = (s * n for s, n in zip(size, factors, strict=True))
        space = kept.space.measured((z, y, x))
        same = kept.unit is not None and space.voxel_size == kept.voxel_size
        if kept.unit is not None and not same and not overwrite:
            message = (
                f"--voxel-size: OUT {finished.out} has voxels of "
                f"{_by(kept.voxel_size)} µm, not {_by(space.voxel_size)}; leave "
                "--voxel-size out, or replace it with --overwrite"
            )
            raise ConfigError(message)
        new = old if same else _with_size(old, size, space)
        with Ledger.open(ledger_of(paths, old), old.fingerprint) as ledger:
            if not same:  # the copy first: whenever this is killed, one of both fits
                ledger.put(COPY, new.to_text())
                ledger.put("fingerprint", new.fingerprint)
                new.save(paths.record)
        there = finished.space
        if (there.voxel_size, there.unit) != (space.voxel_size, space.unit):
            _write_cubes(finished, new, space)
            _write_metadata(finished, new, space)  # last: it says that all is done


def _labelled_before(paths: Paths) -> bool:
    """Say whether objects were labelled before the run had its voxel size."""
    run, made = RunRecord.of(paths), RunRecord.of(Paths(paths.out, LABEL))
    if run is None or made is None:
        return False
    of = Provenance.from_plain(made.request["settings"].get(MADE_FROM))
    if of is None or of.run == run.fingerprint:
        return False
    return of.threshold == decisions_from(run.decisions).threshold  # else stale by that


def _with_size(record: RunRecord, size: Vector, space: Space) -> RunRecord:
    settings = {**record.request["settings"], "voxel-size": list(size)}
    source = {
        **record.request["source"],
        "voxel_size": list(space.voxel_size),
        "unit": space.unit,
        "translation": list(space.translation),
    }
    request = {**record.request, "settings": settings, "source": source}
    return replace(record, request=request)


def _recover(paths: Paths) -> None:
    """Save the record again where a kill left its copy in the ledger alone."""
    record = RunRecord.of(paths)
    if record is None:
        return
    path = ledger_of(paths, record)
    if not path.exists():
        return
    with Ledger.read(path) as ledger:
        known, copy = ledger.fingerprint, ledger.get(COPY)
    if copy is None or known == record.fingerprint:
        return
    found = RunRecord.from_text(copy, paths.record)
    if found.fingerprint == known:
        found.save(paths.record)


def _write_metadata(finished: FinishedRun, record: RunRecord, space: Space) -> None:
    roi = record.roi
    if roi is None:
        message = f"{finished.paths.record} does not say which region was segmented"
        raise LedgerError(message)
    images = run_images(
        finished.out,
        roi,
        record.block,
        space,
        zarr_format=record.zarr_format,
        codec=record.codec,
        checked=record.checked,
    )
    path = ledger_of(finished.paths, record)
    with Ledger.open(path, record.fingerprint) as ledger:
        ours = [file for _, file in ledger.written.of(METADATA)]
        ledger.written.put(METADATA, create_output(*images, ours=ours))


def _write_cubes(finished: FinishedRun, record: RunRecord, space: Space) -> None:
    if record.roi is not None:
        write_cubes(
            finished.paths,
            record.roi,
            recorded_settings(record),
            space,
            decisions_from(record.decisions).field,
            record.gain,
            checked=record.checked,
        )


def _by(size: Vector) -> str:
    return times(f"{edge:g}" for edge in size)


def _labelled_by(record: RunRecord, *, allow_partial: bool) -> LabelSettings:
    """Return the options by which objects were labelled."""
    kept = record.request["settings"]
    known: dict[str, Any] = {}
    for field in fields(LabelSettings):
        value = kept.get(field.name.replace("_", "-"))
        if value is not None:
            known[field.name] = value
    return read_settings(LabelSettings, known | {"allow_partial": allow_partial})
