"""``blockseg predict``: single stacks, in this process, exact like a run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import stem
from blockseg.blockwise.planning.resources import budget, make_grid
from blockseg.blockwise.sources.inputs import (
    Inputs,
    check_roi,
    gather,
    memory_source,
    open_mask,
    read_weights,
)
from blockseg.blockwise.sources.masks import blocks_in_mask
from blockseg.config.settings import RunSettings
from blockseg.core.errors import DISK_FULL, ConfigError, NoSpaceError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.inference.block_input import BlockInput
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.io.holes.mended_volume import MendedVolume
from blockseg.io.masks.sampler import MaskSampler
from blockseg.io.output.picture import as_grey, panels, save_png
from blockseg.io.tiff.write import write_tiff
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.engines.choice import engines_of, trial_of
from blockseg.segmentation.engines.trial import engine_for
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
    return _segment(inputs, _decided(inputs))


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
    decided = [_decided(inputs) for inputs in every]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"--output {folder} cannot be made: {error.strerror or error}"
        kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
        raise kind(message) from error
    for name, inputs, decisions in zip(names, every, decided, strict=True):
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
            f"result, and {here.available / GIB:.1f} GiB are to be had; predict an --roi of "
            "it, or segment it with blockseg run"
        )
        raise ConfigError(message)


def _decided(inputs: Inputs) -> Decisions:
    decisions = decide(inputs)
    if inputs.sparse:
        decisions = sparse_decisions(inputs, decisions, workers=1)
    return decisions


def _segment(inputs: Inputs, decisions: Decisions) -> NDArray[np.uint8]:
    criteria = decisions.criteria
    grid = make_grid(inputs, decisions.block)
    weights = "" if inputs.weights is None else str(inputs.weights.path)
    source = inputs.source.volume
    mended = MendedVolume(source, decisions.holes)
    mask = None
    if inputs.mask is not None:
        mask = MaskSampler(inputs.mask.volume, source.shape, inputs.source.space)
        blocks_in_mask(inputs.mask, inputs.source.space, grid)  # says if there is none
    skip_filter = None
    if criteria is not None:
        skip_filter = SkipFilter(criteria, source.shape, decisions.affine)
    result = np.zeros(inputs.roi.shape, np.uint8)
    specs, trial = engines_of(decisions, weights), trial_of(inputs, decisions)
    with closing(engine_for(specs, trial, source)) as engine:
        for block in grid:
            inside = None if mask is None else mask.inside(block.write_roi)
            if inside is not None and not inside.any():
                continue
            place = block.write_roi.slices(inputs.roi.start)
            if skip_filter is not None:
                filtered = infer_filtered(
                    skip_filter, engine, mended, block.write_roi, inputs.halo, inside
                )
                result[place] = filtered.probability
                continue
            seen = mended.look(block.read_roi)
            raw = seen.voxels
            done = engine.segment(
                BlockInput(raw, block.read_roi, block.write_roi, source.shape)
            )
            core = seen.within(block.write_roi.slices(block.read_roi.start))
            if decisions.empty is not None:
                done.probability[core.voxels == decisions.empty] = 0
            if core.missing is not None:
                done.probability[core.missing] = 0
            if inside is not None:
                done.probability[~inside] = 0
            result[place] = done.probability
    return result


def _projections(
    raw: NDArray[np.generic], probability: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    image = as_grey(raw.max(axis=0))
    return panels(
        [("image", image), ("probability", probability.max(axis=0))], across=False
    )
