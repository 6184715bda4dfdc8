"""Volumes: what one is, a copy of it, a picture of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blockseg.config.settings import RunSettings
from blockseg.config.view_settings import PreviewSettings
from blockseg.interface.arguments import named, options_for, path_of
from blockseg.interface.progress import Progress, watcher

if TYPE_CHECKING:
    import os
    from typing import Unpack

    from blockseg.blockwise.job import JobResult
    from blockseg.inspection import Inspection
    from blockseg.interface.options import PreviewOptions, RunOptions
    from blockseg.interface.picture import Picture


@named(RunSettings)
def info(source: Any, **options: Unpack[RunOptions]) -> Inspection:
    """Describe a volume, and measure the structures in a sample of it.

    Parameters
    ----------
    source
        As of :func:`run`.
    **options
        The options of ``blockseg run`` that say how to read it: ``level=1``,
        ``channel=0``.

    Returns
    -------
    Inspection
        ``lines()`` is what the command prints. ``weights`` and ``downsample`` are
        recommended options; ``outside`` lists the ways in which the volume differs from
        what the default weights were trained for.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing of a known format.
    """
    from blockseg.inspection import inspect

    (settings,) = options_for(RunSettings, **options)
    return inspect(path_of(source), settings.choices)


@named(RunSettings)
def convert(
    source: Any,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress = False,
    **options: Unpack[RunOptions],
) -> JobResult:
    """Copy a volume into an OME-Zarr with a pyramid, or resume a copy that was stopped.

    Parameters
    ----------
    source, overwrite, progress
        As of :func:`run`.
    out
        The OME-Zarr to write.
    **options
        The options of ``blockseg convert`` by name: ``voxel_size=(1, 0.35, 0.35)``.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    from blockseg.conversion import convert as job

    (settings,) = options_for(RunSettings, **options)
    return job(
        path_of(source),
        path_of(out, "out"),
        settings,
        overwrite=overwrite,
        on_event=watcher(progress),
    )


@named(PreviewSettings)
def preview(
    out: Any,
    picture: str | os.PathLike[str] | None = None,
    **options: Unpack[PreviewOptions],
) -> Picture:
    """Draw projections of the result of a run with its image, or of a volume.

    Parameters
    ----------
    out
        Output of :func:`run`, or a volume.
    picture
        PNG to write; ``OUT/.blockseg/preview.png`` if not given.
    **options
        The options of ``blockseg preview`` by name: ``gamma=0.5``, ``slabs=4``.

    Returns
    -------
    Picture
        ``path`` is the file; a notebook displays it.

    Raises
    ------
    VolumeError
        If there is nothing to draw, or the picture cannot be written.
    """
    from blockseg.interface.picture import Picture
    from blockseg.previews import preview as job

    (settings,) = options_for(PreviewSettings, **options)
    target = None if picture is None else path_of(picture, "picture")
    return Picture(job(path_of(out, "out"), target, settings))
