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
    """Describe a volume, and measure what stands out in a sample of it.

    Parameters
    ----------
    source
        As of :func:`run`.
    **options
        Those of ``blockseg run`` that say how it is read, ``level=1``, ``channel=0``; and
        ``weights``.

    Returns
    -------
    Inspection
        ``lines()`` is what the command prints; ``weights`` and ``downsample`` what suits
        it, ``outside`` what lies outside of what the weights were trained for.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing of a known format.
    """
    from blockseg.inspection import inspect

    (settings,) = options_for(RunSettings, **options)
    return inspect(path_of(source), settings.choices, settings.weights)


@named(RunSettings)
def convert(
    source: Any,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress = False,
    **options: Unpack[RunOptions],
) -> JobResult:
    """Copy a volume into an OME-Zarr with a pyramid, or go on with a copy.

    Parameters
    ----------
    source, overwrite, progress
        As of :func:`run`.
    out
        The OME-Zarr to write.
    **options
        Those of ``blockseg convert`` by name: ``voxel_size=(1, 0.35, 0.35)``.

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
    """Draw what a run made, beside what it was made from; or a volume alone.

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
        A notebook shows it; ``path`` is the file.

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
