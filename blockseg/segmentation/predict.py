"""``blockseg predict``: single stacks, in this process, exact like a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import stem
from blockseg.blockwise.planning.resources import budget
from blockseg.blockwise.sources.inputs import (
    Inputs,
    check_roi,
    gather,
    memory_source,
    open_mask,
    read_weights,
)
from blockseg.config.settings import RunSettings
from blockseg.core.errors import DISK_FULL, ConfigError, NoSpaceError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.output.picture import as_grey, panels, save_png
from blockseg.io.tiff.write import write_tiff
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.predictor import Predictor
from blockseg.segmentation.sparse.decisions import sparse_decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Predicted:
    """Outcome of one stack."""

    source: Path
    """The stack."""

    probability: Path
    """uint8 TIFF, round(255·p)."""

    projection: Path
    """PNG: maximum of the image above that of the probability."""

    foreground: float
    """Share of the voxels that are foreground."""

    remarks: tuple[str, ...] = ()
    """Remarks on the stack, a line each."""


def predict(
    array: NDArray[np.generic], settings: RunSettings | None = None
) -> NDArray[np.uint8]:
    """Segment an array as a run would segment the same volume.

    Parameters
    ----------
    array
        Voxels, axes (z, y, x); uint8, uint16, int16 or float32.
    settings
        As for a run.

    Returns
    -------
    NDArray[np.uint8]
        round(255·p), p the probability that a voxel is foreground; of the shape of
        what is read, or that of the ROI.

    Raises
    ------
    VolumeError
        If the array is not 3-D or of another dtype.
    """
    given = settings or RunSettings()
    source = memory_source(np.asarray(array), given.choices)
    roi = given.roi or Roi.whole(source.volume.shape)
    check_roi(roi, source.volume.shape)
    mask = open_mask(
        given.mask, source.volume.shape, source.space, roi, allow_gaps=given.allow_gaps
    )
    inputs = Inputs(source, Path(), roi, read_weights(given), mask, given)
    return _segment(inputs, decided(inputs))


def predict_files(
    sources: Iterable[str], folder: Path, settings: RunSettings
) -> Iterator[Predicted]:
    """Segment stacks one after the other; all are checked before the first.

    Parameters
    ----------
    sources
        TIFF stacks, or any volume that ``run`` takes.
    folder
        Takes ``{name}_prob.tif`` and ``{name}_mip.png``; made if missing.
    settings
        As for a run.

    Yields
    ------
    Predicted
        One a stack, once its files are written.

    Raises
    ------
    BlocksegError
        Of the kind that fits, before anything is written.
    """
    every = [gather(source, str(folder / "unused"), settings) for source in sources]
    for inputs in every:
        _check_memory(inputs)
    names = [stem(inputs.source.spec) for inputs in every]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        message = (
            f"several stacks are named {', '.join(sorted(twice))}: their results would "
            "overwrite each other; predict them into different folders"
        )
        raise ConfigError(message)
    decisions_of = [decided(inputs) for inputs in every]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"--output {folder} cannot be made: {error.strerror or error}"
        kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
        raise kind(message) from error
    for name, inputs, decisions in zip(names, every, decisions_of, strict=True):
        probability = _segment(inputs, decisions)
        raw = inputs.source.volume.read(inputs.roi)
        target = folder / f"{name}_prob.tif"
        write_tiff(target, probability, inputs.source.space)
        picture = folder / f"{name}_mip.png"
        save_png(picture, _projections(raw, probability))
        threshold = round(255 * settings.threshold)
        share = float((probability >= threshold).mean())
        yield Predicted(
            Path(inputs.source.spec.uri),
            target,
            picture,
            share,
            inputs.source.remarks,
        )


def _check_memory(inputs: Inputs) -> None:
    """Refuse a stack that does not fit into memory as a whole."""
    here = budget(inputs.settings)
    needed = inputs.roi.size * (inputs.source.volume.dtype.itemsize + 1)
    if needed > here.available:
        message = (
            f"{inputs.source.spec.uri} takes {needed / GIB:.1f} GiB of memory with its "
            f"result, and {here.available / GIB:.1f} GiB are available; predict an --roi of "
            "it, or segment it with blockseg run"
        )
        raise ConfigError(message)


def decided(inputs: Inputs) -> Decisions:
    """Return the decisions that a run would make for its inputs."""
    decisions = decide(inputs)
    if inputs.sparse:
        decisions = sparse_decisions(inputs, decisions, workers=1)
    return decisions


def _segment(inputs: Inputs, decisions: Decisions) -> NDArray[np.uint8]:
    result = np.zeros(inputs.roi.shape, np.uint8)
    with Predictor(inputs, decisions) as predictor:
        for block in predictor.grid:
            place = block.write_roi.slices(inputs.roi.start)
            result[place] = predictor.predict(block)
    return result


def _projections(
    raw: NDArray[np.generic], probability: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    image = as_grey(raw.max(axis=0))
    return panels(
        [("image", image), ("probability", probability.max(axis=0))], across=False
    )
