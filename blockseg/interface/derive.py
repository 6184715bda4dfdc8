"""Objects and traces of a finished run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.config.label_settings import LabelSettings
from blockseg.config.settings import RunSettings
from blockseg.config.skeletonize_settings import SkeletonizeSettings
from blockseg.interface.arguments import named, options_for, path_of
from blockseg.interface.progress import Progress, watcher

if TYPE_CHECKING:
    import os
    from typing import Any, Unpack

    from blockseg.interface.options import LabelOptions, SkeletonizeOptions
    from blockseg.labelling.run import Labelled
    from blockseg.skeletonization.run import Skeletonized


@named(LabelSettings)
def label(
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    workers: int | None = None,
    memory: Any = None,
    scheduler: str | None = None,
    voxel_size: Any = None,
    progress: Progress = False,
    **options: Unpack[LabelOptions],
) -> Labelled:
    """Find the objects of a finished run, whole across its blocks.

    Parameters
    ----------
    out
        Output of :func:`run`. ``labels/components``, ``labels/foreground_clean`` and
        ``tables/objects.csv`` are written into it.
    overwrite
        Start over if ``out`` holds earlier labels.
    workers, memory, scheduler, progress
        As of :func:`run`.
    voxel_size
        Edge lengths (z, y, x) of a voxel of the source in µm, if it states none and the
        run was given none.
    **options
        The options of ``blockseg label`` by name: ``min_size=64``,
        ``hysteresis=(0.3, 0.5)``.

    Returns
    -------
    Labelled
        ``complete`` says whether everything is written; ``objects``, ``clean`` and
        ``length_um`` are the totals.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if ``out`` or an option does not fit.
    """
    from blockseg.voxel_sizes import label as job

    how = {
        "workers": workers,
        "memory": memory,
        "scheduler": scheduler,
        "voxel_size": voxel_size,
    }
    settings, execution = options_for(LabelSettings, RunSettings, **options, **how)
    return job(
        path_of(out, "out"),
        settings,
        execution,
        overwrite=overwrite,
        on_event=watcher(progress),
    )


@named(SkeletonizeSettings)
def skeletonize(
    out: str | os.PathLike[str],
    traces: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    memory: Any = None,
    scheduler: str | None = None,
    voxel_size: Any = None,
    progress: Progress = False,
    **options: Unpack[SkeletonizeOptions],
) -> Skeletonized:
    """Trace the centrelines of the clean objects of a run that was labelled.

    Parameters
    ----------
    out
        Output of :func:`run`, after :func:`label`.
    traces
        Folder for SWC files, a Neuroglancer layer and a table; ``OUT/traces`` if not
        given.
    overwrite
        Start over if there are traces made with other options or labels.
    workers, memory, scheduler, progress
        As of :func:`run`.
    voxel_size
        Edge lengths (z, y, x) of a voxel of the source in µm, if it states none and the
        run was given none.
    **options
        The options of ``blockseg skeletonize`` by name: ``min_length=50``, ``bridge=5``.

    Returns
    -------
    Skeletonized
        ``complete`` says whether everything is written; ``traced`` has the number of
        objects and their total length in µm; ``folder`` is where the files are.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if ``out`` or an option does not fit.
    """
    from blockseg.voxel_sizes import skeletonize as job

    how = {
        "workers": workers,
        "memory": memory,
        "scheduler": scheduler,
        "voxel_size": voxel_size,
    }
    settings, execution = options_for(
        SkeletonizeSettings, RunSettings, **options, **how
    )
    return job(
        path_of(out, "out"),
        None if traces is None else path_of(traces, "traces"),
        settings,
        execution,
        overwrite=overwrite,
        on_event=watcher(progress),
    )
