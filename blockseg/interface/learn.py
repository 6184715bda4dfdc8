"""Picks, trainings and scores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from blockseg.config.evaluate_settings import EvaluateSettings
from blockseg.config.propose_settings import ProposeSettings
from blockseg.config.settings import RunSettings
from blockseg.config.train_settings import TrainSettings
from blockseg.interface.arguments import named, options_for, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Unpack

    from blockseg.evaluation.run import Evaluation
    from blockseg.interface.options import (
        EvaluateOptions,
        ProposeOptions,
        TrainOptions,
    )
    from blockseg.proposals.folder import Proposed
    from blockseg.training.events import TrainingResult


@named(ProposeSettings)
def propose(
    source: Any,
    folder: str | os.PathLike[str],
    *,
    scheduler: str | None = None,
    channel: int | None = None,
    voxel_size: Any = None,
    **options: Unpack[ProposeOptions],
) -> Proposed:
    """Pick the blocks of a brain that are most worth annotating.

    Existing labels are never overwritten. The same call again resumes what was stopped.

    Parameters
    ----------
    source
        Output of :func:`run` or of ``blockseg metrics``; a volume, which is then measured
        first, without a network; or, for ``rule="published"``, a folder with ``image/`` and
        ``label/``.
    folder
        Folder to write: ``image/``, ``label/`` with drafts to correct, a manifest and a
        report. :func:`train` accepts it as data.
    scheduler
        Scheduler to measure a volume with, as for :func:`run`.
    channel, voxel_size
        How to read a volume, as for :func:`run`.
    **options
        The options of ``blockseg propose-annotations`` by name: ``count=100``,
        ``pick_shape=(128, 128, 128)``.

    Returns
    -------
    Proposed
        ``names`` of the picks, best first, and ``notes``, which the command prints.

    Raises
    ------
    BlocksegError
        With one line, before ``folder`` is touched, if the input is bad.
    """
    from blockseg.proposals.source import propose_source

    given = {"scheduler": scheduler, "channel": channel, "voxel_size": voxel_size}
    settings, measuring = options_for(ProposeSettings, RunSettings, **options, **given)
    return propose_source(
        path_of(source), path_of(folder, "folder"), settings, measuring
    )


@named(TrainSettings)
def train(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[Any], None] | None = None,
    **options: Unpack[TrainOptions],
) -> TrainingResult:
    """Train a network into a folder, or resume a training that was stopped.

    Starts processes that make patches unless ``workers=0``; a script that calls it
    needs the usual ``if __name__ == "__main__":`` guard.

    Parameters
    ----------
    data
        Folders with ``image/`` and ``label/``, OME-Zarr images with labels, or
        ``synth:NAME``; one or several.
    out
        Folder for weights, checkpoint, log and report.
    overwrite
        Start over if ``out`` holds an earlier training.
    resume
        Raise an error instead of starting a new training.
    progress
        Function that is called with each event.
    **options
        The options of ``blockseg train`` by name: ``init="weights.safetensors"``,
        ``steps=500``.

    Returns
    -------
    TrainingResult
        ``complete`` is False if a full disk stopped it. The weights are in
        ``out/best.safetensors``.

    Raises
    ------
    BlocksegError
        With one line: before anything is written if the input is bad, and later if the loss
        is not a number any more.
    """
    from blockseg.training.run import train as job

    one = isinstance(data, str | os.PathLike)
    sources = [path_of(each, "data") for each in ([data] if one else data)]  # type: ignore[union-attr]
    (settings,) = options_for(TrainSettings, **options)
    told: dict[str, Any] = {} if progress is None else {"on_event": progress}
    return job(
        sources,
        path_of(out, "out"),
        settings,
        overwrite=overwrite,
        resume=resume,
        **told,
    )


@named(EvaluateSettings)
def evaluate(
    prediction: Any,
    truth: Any,
    **options: Unpack[EvaluateOptions],
) -> Evaluation:
    """Score a segmentation against its truth.

    Parameters
    ----------
    prediction
        Output of :func:`run`, a mask, or with ``threshold`` a probability.
    truth
        Labels, a mask or traces; one path or a list of several.
    **options
        The options of ``blockseg evaluate`` by name.

    Returns
    -------
    Evaluation
        ``measures`` has the name, value and confidence interval of each score.

    Raises
    ------
    BlocksegError
        With one line, if prediction and truth do not fit each other.
    """
    from blockseg.evaluation.run import evaluate as job

    several = truth if isinstance(truth, list | tuple) else [truth]
    (settings,) = options_for(EvaluateSettings, **options)
    return job(
        path_of(prediction, "prediction"),
        [path_of(one, "truth") for one in several],
        settings,
    )
