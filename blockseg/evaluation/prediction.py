"""Prediction, opened and checked before any voxel is read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.record.record import FOLDER, Paths, RunRecord
from blockseg.blockwise.status import status
from blockseg.core.errors import BlocksegError, ConfigError, VolumeError
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.places import local_path
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.plausibility.chunks import refuse_misplaced
from blockseg.io.zarr.layout import label_paths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


@dataclass(frozen=True, slots=True)
class PredictedBlock:
    """A region of a prediction."""

    mask: NDArray[np.bool_]
    """Foreground."""

    nonfinite: int
    """NaN or infinite voxels, taken as background."""

    greatest: float
    """Greatest value."""

    levels: bool
    """Whether there are several different values above 0."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Prediction that is scored."""

    name: str
    """As the user named it."""

    volume: Volume
    """A mask or a probability."""

    threshold: float | None
    """Least value that counts, in the volume's own numbers; None for a mask."""

    space: Space
    """Voxel size and place."""

    source_roi: Roi | None
    """Region of its source that a run wrote, where it was not all of it; in voxels of the
    grid that the run read."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""

    source_shape: Zyx | None = None
    """Voxels of the whole source of a run, on the grid that it read."""

    factors: Zyx = (1, 1, 1)
    """Voxels of the stored source along (z, y, x) that one voxel is the mean of."""

    def read(self, roi: Roi, own: Roi) -> PredictedBlock:
        """Return a region as a mask, with statistics of the part ``own`` of it."""
        raw = self.volume.read(roi)
        nonfinite = 0
        if raw.dtype.kind == "f":
            finite = np.isfinite(raw)
            nonfinite = int(np.count_nonzero(~finite[own.slices(roi.start)]))
            raw = np.where(finite, raw, 0)
        least = self.threshold
        mask = np.asarray(raw != 0 if least is None else raw >= least)
        return PredictedBlock(
            mask,
            nonfinite,
            float(raw.max(initial=0)),
            least is None and bool(((raw != 0) & (raw != raw.max())).any()),
        )


def open_prediction(
    name: str,
    *,
    threshold: float | None = None,
    voxel_size: tuple[float, float, float] | None = None,
) -> Prediction:
    """Open a mask or a probability.

    Of an output of ``blockseg run``, the mask is taken, or with a threshold the
    probability.

    Parameters
    ----------
    name
        A volume.
    threshold
        Probability from which a voxel counts.
    voxel_size
        Edge lengths along (z, y, x), in µm; else from the metadata.

    Raises
    ------
    VolumeError
        If there is none, or it is neither.
    """
    name = local_path(name)
    root = Path(name).expanduser()
    mask = root / "labels" / "foreground"
    ours = mask.is_dir() and (root / FOLDER).is_dir()
    path = mask if ours and threshold is None else root
    spec = find(str(path) if "://" not in name else name, mask=True)
    volume = _opened(spec)
    space = volume.space
    if voxel_size is not None:
        space = space.measured(voxel_size)
    elif space.problem:
        message = f"{name}: {space.problem}; give --voxel-size Z,Y,X in µm"
        raise VolumeError(message)
    record = RunRecord.of(Paths(root.absolute())) if ours else None
    return Prediction(
        name,
        volume,
        _least(name, volume, threshold),
        space,
        _source_roi(record),
        _incomplete(root) if ours else (),
        None if record is None else record.volume_shape,
        record.source.spec.downsample if record and record.source else (1, 1, 1),
    )


def _least(name: str, volume: Volume, threshold: float | None) -> float | None:
    kind = volume.dtype
    if threshold is None:
        if kind.kind == "f":
            message = f"{name} holds {kind.name} voxels; give --threshold P"
            raise VolumeError(message)
        return None
    if kind.kind == "f":
        return threshold
    if kind != np.uint8:
        message = (
            f"{name} holds {kind.name} voxels, which are no probability (uint8 or "
            "float); leave --threshold out"
        )
        raise VolumeError(message)
    return float(np.rint(255 * threshold))  # the rule of ``run``


def _source_roi(record: RunRecord | None) -> Roi | None:
    """Return which part of its source a run wrote, if not all of it."""
    if record is None or record.roi is None or record.volume_shape is None:
        return None
    whole = Roi.whole(record.volume_shape)
    return None if record.roi == whole else record.roi


def _incomplete(root: Path) -> tuple[str, ...]:
    """Return a line for the user if an output is not whole."""
    # Without its record or its ledger, an output is a volume like others.
    with contextlib.suppress(BlocksegError):
        found = status(str(root))
        if found.damaged:
            return (f"the run of {root} is damaged: {found.damaged[0]}",)
        if found.state != "complete":
            unwritten = "what it did not write counts as empty"
            return (f"the run of {root} is {found.state}: {unwritten}",)
    return ()


def open_mask_volume(name: str) -> Volume:
    """Open an annotation; of an OME-Zarr image, its only label image.

    Of a synthetic brain, the mask of its neurites is taken.

    Raises
    ------
    VolumeError
        If there is none, or it needs a choice.
    """
    name = local_path(name)
    if "://" in name:
        return _opened(find(name, mask=True))
    root = Path(name).expanduser()
    spec = find(str(root), mask=True)
    if spec.path.startswith("labels/") or "/labels/" in spec.path:
        return _opened(spec)
    labels = label_paths(spec) if (root / "labels").is_dir() else {}
    if not labels:
        return _opened(spec)
    chosen = labels.get("truth") or (
        next(iter(labels.values())) if len(labels) == 1 else None
    )
    if chosen is None:
        message = (
            f"{name} is an image with the labels {', '.join(sorted(labels))}; give the "
            f"path of one, as in {root / 'labels' / min(labels)}"
        )
        raise ConfigError(message)
    return _opened(find(str(Path(spec.uri) / chosen), mask=True))


def _opened(spec: VolumeSpec) -> Volume:
    """Open a mask; what lies elsewhere than its metadata say would count as empty."""
    volume = open_volume(spec)
    refuse_misplaced(spec, volume)
    return volume
