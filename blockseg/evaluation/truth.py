"""The truth of an evaluation: an annotation, or traced neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from blockseg.blockwise.record.record import FOLDER
from blockseg.core.errors import ConfigError, GeometryError
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.labels import IGNORE
from blockseg.core.places import local_path
from blockseg.core.text import times
from blockseg.evaluation.prediction import open_mask_volume
from blockseg.evaluation.snr import SnrTable, read_snr_table
from blockseg.io.downsampled import Downsampled, covering
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import TracedVoxels, read_swc, swc_files, trace
from blockseg.training.annotations.labels import OTHERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from blockseg.config.evaluate_settings import EvaluateSettings
    from blockseg.evaluation.prediction import Prediction
    from blockseg.io.protocol import Volume


@dataclass(frozen=True, slots=True)
class TrueBlock:
    """The truth of a region; all arrays of one shape."""

    mask: NDArray[np.bool_]
    """Neurites, or their centrelines."""

    counts: NDArray[np.bool_]
    """Where the truth is known."""

    snr: NDArray[np.float32] | None
    """SNR of the neurites, NaN where not known; None if it is nowhere."""

    levels: bool = False
    """Whether a byte holds several kinds of neurite without a label map."""

    unsure: int = 0
    """Largest label, where 255 might mean unknown and might be a neuron."""


@dataclass(frozen=True, slots=True)
class MaskTruth:
    """An annotation."""

    traced: ClassVar[bool] = False
    """Whether only centrelines are known."""

    volume: Volume
    """Labels, or a mask."""

    meaning: Mapping[int, int]
    """Meaning of values: 0 background, 1 neurite, 255 unknown.

    Others: not 0 is neurite."""

    offset: Zyx = (0, 0, 0)
    """Place of the prediction's first voxel, in voxels of the prediction."""

    factors: Zyx = (1, 1, 1)
    """Voxels of the truth along (z, y, x) in one of the prediction, which is a neurite if
    any of them is, and unknown if any is and none a neurite."""

    others: int | None = None
    """Meaning of values that ``meaning`` does not name and that are not 0 or 1."""

    branches: Volume | None = None
    """Labels that ``table`` is about; None: those of ``volume``."""

    table: SnrTable | None = None
    """SNR of labels."""

    mapped: bool = False
    """Whether the user said what values mean."""

    guessed: bool = False
    """Whether 255 is taken for a neuron only because the type is wider than a byte."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    @property
    def has_snr(self) -> bool:
        """Whether the SNR of neurites is known."""
        return self.table is not None

    def read(self, roi: Roi) -> TrueBlock:
        """Return a region, in voxels of the prediction."""
        there = roi.shifted(self.offset)
        if max(self.factors) > 1:
            fine = Downsampled(self.volume, self.factors).stored(there)
            return _coarse(self._read(fine), self.factors)
        return self._read(there)

    def _read(self, there: Roi) -> TrueBlock:
        raw = self.volume.read(there)
        mask = np.asarray(raw != 0)
        counts = np.ones(raw.shape, dtype=bool)
        if raw.dtype.kind == "f":
            counts = np.isfinite(raw)
        if self.others is not None:
            rest = ~np.isin(raw, [0, 1, *self.meaning])
            mask[rest], counts[rest] = self.others == 1, self.others != IGNORE
        for value, meaning in self.meaning.items():
            where = raw == value
            mask[where] = meaning == 1
            counts[where] = meaning != IGNORE
        mask &= counts
        found = raw[mask] if raw.dtype.itemsize == 1 and not self.mapped else raw[:0]
        levels = bool(found.size and found.min() != found.max())
        unsure = int(raw.max()) if self.guessed else 0
        snr = None
        if self.table is not None and mask.any():
            labels = raw if self.branches is None else self.branches.read(there)
            snr = np.full(raw.shape, np.nan, np.float32)
            snr[mask] = self.table.of(labels[mask])
        return TrueBlock(mask, counts, snr, levels, unsure)


def _coarse(fine: TrueBlock, factors: Zyx) -> TrueBlock:
    """Return a block whose voxels stand for cells of so many voxels each."""
    starts = [np.arange(0, n, f) for n, f in zip(fine.mask.shape, factors, strict=True)]

    def cells(of: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        for axis, start in enumerate(starts):
            values = of.reduceat(values, start, axis=axis)
        return values

    mask = cells(np.logical_or, fine.mask)
    snr = None if fine.snr is None else cells(np.fmax, fine.snr)
    counts = mask | cells(np.logical_and, fine.counts)
    return TrueBlock(mask, counts, snr, fine.levels, fine.unsure)


@dataclass(frozen=True, slots=True)
class TracedTruth:
    """Centrelines of neurons; what they do not pass is background."""

    traced: ClassVar[bool] = True
    """Whether only centrelines are known."""

    voxels: TracedVoxels
    """The voxels that they pass."""

    has_snr: bool
    """Whether some file states an SNR."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    def read(self, roi: Roi) -> TrueBlock:
        """Return a region, in voxels of the prediction."""
        places, known = self.voxels.within(roi)
        mask = np.zeros(roi.shape, dtype=bool)
        mask[tuple(places.T)] = True
        snr = None
        if self.has_snr:
            snr = np.full(roi.shape, np.nan, np.float32)
            snr[tuple(places.T)] = known
        return TrueBlock(mask, np.ones(roi.shape, dtype=bool), snr)


Truth: TypeAlias = MaskTruth | TracedTruth
"""Truth that predictions are compared with."""


def open_truth(
    names: Sequence[str], prediction: Prediction, settings: EvaluateSettings
) -> Truth:
    """Open an annotation, or read SWC files.

    Parameters
    ----------
    names
        One volume; or SWC files and folders of such.
    prediction
        Prediction that it must fit.
    settings
        Settings, of which some say how the truth is read.

    Raises
    ------
    BlocksegError
        With one line, if it cannot be read or does not fit.
    """
    paths = [Path(local_path(name)).expanduser() for name in names]
    if all(_is_swc(path) for path in paths):
        return _traced(paths, prediction, settings)
    if len(paths) > 1:
        message = f"TRUTH is one volume, or SWC files, but not {', '.join(names)}"
        raise ConfigError(message)
    return _mask(names[0], prediction, settings)


def _is_swc(path: Path) -> bool:
    if path.is_dir():
        return any(p.suffix.lower() == ".swc" for p in path.iterdir())
    return path.suffix.lower() == ".swc"


def _traced(
    paths: Sequence[Path], prediction: Prediction, settings: EvaluateSettings
) -> TracedTruth:
    shape, space = prediction.volume.shape, prediction.space
    if settings.snr is not None:
        message = (
            "--snr is a table of labels, which SWC files have not; leave it out, or "
            "write '# branch ID FIRST LAST SNR LENGTH' into the files"
        )
        raise ConfigError(message)
    if settings.swc_unit == "um" and space.unit is None:
        message = (
            f"{prediction.name} states no voxel size, so micrometres have no place in "
            "it; give --voxel-size Z,Y,X or --swc-unit voxels"
        )
        raise ConfigError(message)
    files = swc_files(paths)
    trees = [read_swc(file) for file in files]
    if settings.swc_unit == "um":
        voxels = trace(trees, shape, space.voxel_size, space.translation)
    else:
        roi = prediction.source_roi or Roi.whole(shape)
        voxels = trace(trees, shape, (1.0, 1.0, 1.0), roi.start)
    if not len(voxels.voxel):
        message = (
            f"none of the {len(files)} SWC files passes through {prediction.name}; "
            "check --swc-unit, --voxel-size and the order of axes"
        )
        raise GeometryError(message)
    notes: tuple[str, ...] = ()
    if voxels.outside:
        share = voxels.outside / (voxels.outside + voxels.points)
        notes = (f"{share:.1%} of the traced length lies outside of PRED: left out",)
    return TracedTruth(voxels, not bool(np.isnan(voxels.snr).all()), notes)


def _mask(name: str, prediction: Prediction, settings: EvaluateSettings) -> MaskTruth:
    volume = open_mask_volume(name)
    offset, factors, notes = _place(name, volume, prediction)
    mapped = settings.label_map is not None or settings.snr is not None
    wide = volume.dtype.kind in "iu" and volume.dtype.itemsize > 1
    truth = MaskTruth(
        volume,
        _meaning(volume, settings),
        offset,
        factors,
        (settings.label_map or {}).get(OTHERS),
        mapped=mapped,
        guessed=wide and not mapped and settings.ignore == "auto",
        notes=notes,
    )
    if settings.snr is not None:
        return replace(truth, table=read_snr_table(Path(settings.snr).expanduser()))
    made = _synthetic(Path(local_path(name)).expanduser().absolute())
    if made is None:
        return truth
    branches = open_volume(find(str(made / "labels" / "branches"), mask=True))
    if branches.shape != volume.shape:
        return truth  # an annotation of another level
    table = read_snr_table(_branch_table(made))
    return replace(truth, branches=branches, table=table, guessed=False)


def _meaning(volume: Volume, settings: EvaluateSettings) -> dict[int, int]:
    ignored = settings.ignore
    if ignored == "auto":
        # In wider types, 255 is the id of a neuron as likely as not.
        ignored = IGNORE if volume.dtype.itemsize == 1 else "none"
    meaning = {} if ignored == "none" else {int(ignored): IGNORE}
    named = (settings.label_map or {}).items()
    return meaning | {value: code for value, code in named if isinstance(value, int)}


def _place(
    name: str, volume: Volume, prediction: Prediction
) -> tuple[Zyx, Zyx, tuple[str, ...]]:
    """Return where the prediction lies in the truth, and how many of its voxels make one.

    Raises
    ------
    GeometryError
        If their shapes do not fit.
    """
    shape, roi = prediction.volume.shape, prediction.source_roi
    factors = prediction.factors
    start = (0, 0, 0) if roi is None else roi.start
    region = f"PRED is the region {roi} of its source"
    if volume.shape == shape:
        return (0, 0, 0), (1, 1, 1), ()
    cells = covering(Roi.whole(volume.shape), factors).shape
    if max(factors) > 1 and cells == prediction.source_shape:
        coarse = f"PRED was computed on cells of {times(factors)} voxels of TRUTH"
        notes = (f"{coarse}: one is a neurite where any of them is",)
        return start, factors, notes if roi is None else (*notes, region)
    message = (
        f"PRED {prediction.name} has {times(shape)} voxels, TRUTH {name} has "
        f"{times(volume.shape)} (z×y×x)"
    )
    if roi is not None and Roi.whole(volume.shape).contains(roi):
        return roi.start, (1, 1, 1), (f"{region}: scored there",)
    if roi is None:
        message += "; score a prediction with its own annotation"
    else:
        message += f"; {region}, which TRUTH does not hold"
    raise GeometryError(message)


def _branch_table(brain: Path) -> Path:
    return brain / FOLDER / "truth" / "branches.csv"


def _synthetic(path: Path) -> Path | None:
    """Return the synthetic brain at or around a path."""
    for folder in (path, *path.parents[:3]):
        if _branch_table(folder).is_file() and (folder / "labels/branches").is_dir():
            return folder
    return None
