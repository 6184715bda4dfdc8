"""Segmentation, its forecast, and what is made of it without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blockseg.config.settings import RunSettings
from blockseg.config.view_settings import ThresholdSettings
from blockseg.interface.arguments import array_of, named, options_for, path_of
from blockseg.interface.progress import Progress, watcher

if TYPE_CHECKING:
    import os
    from typing import Unpack

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.interface.options import RunOptions, ThresholdOptions
    from blockseg.interface.results import RunResult
    from blockseg.segmentation.forecast import Forecast
    from blockseg.thresholding.run import Thresholded


@named(RunSettings)
def run(
    source: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = False,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Segment a brain into an OME-Zarr, or resume a run that was stopped.

    Starts a Dask cluster on this machine unless ``scheduler`` says otherwise; a
    script that calls it needs the usual ``if __name__ == "__main__":`` guard.

    Parameters
    ----------
    source
        Path or address of a volume in any supported format, such as OME-Zarr, N5 or TIFF;
        a folder or glob of slices; or a Zarr array on a disk.
    out
        Output group; ``NAME.blockseg.zarr`` beside the source if not given.
    overwrite
        Start over if OUT holds an earlier run.
    progress
        True for a progress bar (in a notebook, with a link to the dashboard), or a function
        that is called with each event.
    **options
        The options of ``blockseg run`` by name. Values are written as in YAML or as Python
        values: ``roi="0:64,0:512,0:512"``, ``voxel_size=(1, 0.35, 0.35)``.

    Returns
    -------
    RunResult
        ``complete`` says whether every block is written, and ``failures`` names those in
        quarantine. ``probability``, ``mask`` and ``image`` are lazy arrays, and ``show()``
        draws a picture.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    from blockseg.interface.results import RunResult
    from blockseg.segmentation.run import run as job

    (settings,) = options_for(RunSettings, **options)
    result = job(
        path_of(source),
        None if out is None else path_of(out, "out"),
        settings,
        overwrite=overwrite,
        on_event=watcher(progress),
    )
    return RunResult.of(result)


@named(RunSettings)
def plan(
    source: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    trial: bool = True,
    progress: Progress = False,
    **options: Unpack[RunOptions],
) -> Forecast:
    """Predict what :func:`run` with the same arguments would take; write nothing.

    Parameters
    ----------
    source, out, progress
        As of :func:`run`.
    trial
        Whether to measure the network's speed on this machine.
    **options
        The options of ``blockseg run`` by name.

    Returns
    -------
    Forecast
        ``lines()`` is what the command prints.

    Raises
    ------
    BlocksegError
        As :func:`run` would, before it starts.
    """
    from blockseg.segmentation.forecast import plan as job

    (settings,) = options_for(RunSettings, **options)
    return job(
        path_of(source),
        None if out is None else path_of(out, "out"),
        settings,
        on_event=watcher(progress),
        trial=trial,
    )


@named(RunSettings)
def predict(array: Any, **options: Unpack[RunOptions]) -> NDArray[np.uint8]:
    """Segment an array in this process, with the same bytes as :func:`run` would write.

    Parameters
    ----------
    array
        NumPy, Zarr or Dask array with axes (z, y, x), of type uint8, uint16, int16 or
        float32. It is read as a whole.
    **options
        The options of ``blockseg run`` by name.

    Returns
    -------
    NDArray[np.uint8]
        round(255·p), where p is the probability that a voxel is foreground. It has the
        shape of the array, divided by ``downsample`` and rounded up, or that of ``roi``.

    Raises
    ------
    BlocksegError
        With one line if the array or an option does not fit.
    """
    from blockseg.segmentation.predict import predict as job

    (settings,) = options_for(RunSettings, **options)
    return job(array_of(array), settings)


@named(ThresholdSettings)
def threshold(
    out: str | os.PathLike[str],
    probability: float,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress = False,
    **options: Unpack[ThresholdOptions],
) -> Thresholded:
    """Give a finished run another threshold, without inference.

    Parameters
    ----------
    out
        Output of :func:`run`. Afterwards it is what a run with that threshold would have
        written.
    probability
        Lowest probability of the foreground, 1/255 to 1.
    workers, scheduler, progress
        As of :func:`run`.
    **options
        The options of ``blockseg threshold`` by name: ``min_size=200``.

    Returns
    -------
    Thresholded
        ``complete`` says whether everything is written; ``stale`` names results that were
        made with another threshold.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if ``out`` or an option does not fit.
    """
    from blockseg.thresholding.run import threshold as job

    how = {"workers": workers, "scheduler": scheduler, "threshold": probability}
    settings, execution = options_for(ThresholdSettings, RunSettings, **options, **how)
    return job(
        path_of(out, "out"),
        execution.threshold,
        settings,
        execution,
        on_event=watcher(progress),
    )
