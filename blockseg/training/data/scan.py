"""Scan of an annotation: extent, values, readability."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx, ceil_to, to_zyx
from blockseg.core.labels import IGNORE
from blockseg.training.annotations.values import ValuesSeen, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.io.protocol import Volume
    from blockseg.training.annotations.labels import LabelCodes

Codes: TypeAlias = Callable[[Roi], "NDArray[np.uint8]"]
"""Reads what an annotation says of a region: 0, 1 or ``IGNORE``."""

_SMALLEST_TILE = 16
_BLOCK = 128  # voxels that are read at a time, at least
_LARGEST_BLOCK = 512  # voxels, where chunks are larger
_LOOKED_AT = 8  # blocks, for what values without a meaning stand for
_MOST_VALUES = 2**17
_IMAGE_READ = 2**29  # voxels of a volume whose image is read through, too


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationIndex:
    """Annotated voxels by tile of a lattice; tiles without any are left out."""

    edge: int
    """Edge of a tile, in voxels."""

    tiles: NDArray[np.int32]
    """Place in the lattice, shape (n, 3), axes (z, y, x)."""

    labelled: NDArray[np.int64]
    """Voxels that are background or neurite, shape (n,)."""

    foreground: NDArray[np.int64]
    """Neurite voxels, shape (n,)."""

    def roi(self, number: int) -> Roi:
        """Return the box of a tile; it may stick out of the volume."""
        start = to_zyx(self.tiles[number] * self.edge)
        return Roi(start, to_zyx(a + self.edge for a in start))


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """Contents of an annotation."""

    shape: Zyx
    """Voxels along (z, y, x)."""

    index: AnnotationIndex
    """Annotated tiles."""

    labelled: tuple[NDArray[np.int64], ...]
    """Annotated voxels of each plane, along z, y and x."""

    foreground: tuple[NDArray[np.int64], ...]
    """Neurite voxels of each plane, along z, y and x."""

    nonfinite: int
    """Annotated voxels whose grey level is NaN or infinite."""

    counts: dict[float, int]
    """Voxels of each value in the annotation, as stored."""

    meanings: dict[float, int]
    """Meaning of each of these values: 0, 1 or ``IGNORE``."""


def scan(
    image: Volume,
    labels: Volume,
    codes: LabelCodes,
    where: str,
    *,
    block: int = _BLOCK,
    most_tiles: int = 2**20,
) -> Scan:
    """Read an annotation block by block, and the image where it is annotated.

    Parameters
    ----------
    image
        Of integers, it is read as a check only, in volumes below 2²⁹ voxels.
    labels
        Of the same shape.
    codes
        What its values mean.
    where
        How to call it in messages.
    block
        Least edge of what is read at a time, in voxels.
    most_tiles
        Of the index; tiles are 16 voxels long, or longer in a larger volume.

    Raises
    ------
    VolumeError
        If anything cannot be read, or a value in it means nothing.
    """
    shape = labels.shape
    edge = _SMALLEST_TILE
    while math.prod(-(-n // edge) for n in shape) > most_tiles:
        edge *= 2
    planes = [[np.zeros(n, np.int64) for n in shape] for _ in range(2)]
    none = np.zeros(0, np.int64)
    rows = [(np.zeros((0, 3), np.int32), none, none)]
    counts: Counter[float] = Counter()
    nonfinite = 0
    checked = image.dtype.kind == "f" or math.prod(shape) <= _IMAGE_READ
    for roi in _blocks(labels, edge, block):
        stored = labels.read(roi)
        counts.update(codes.counts(stored))
        if codes.unknown(counts):
            # All of it, not the first block's: the message shall list every value.
            seen = look(image, labels, codes)
            raise VolumeError(refusal(where, seen, codes))
        target = codes.codes(stored)
        known = target != IGNORE
        if not known.any():
            continue
        if checked:
            finite = np.isfinite(image.read(roi))
            nonfinite += int(np.count_nonzero(known & ~finite))
            known &= finite
        positive = known & (target == 1)
        for totals, mask in zip(planes, (known, positive), strict=True):
            for axis, place in enumerate(roi.slices()):
                others = tuple(a for a in range(3) if a != axis)
                totals[axis][place] += np.count_nonzero(mask, axis=others)
        rows.append(_tiles(known, positive, roi.start, edge))
    columns = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Scan(
        shape,
        AnnotationIndex(edge, *columns),
        tuple(planes[0]),
        tuple(planes[1]),
        nonfinite,
        dict(counts),
        {value: codes.meaning(value) for value in counts},
    )


def look(image: Volume, labels: Volume, codes: LabelCodes) -> ValuesSeen:
    """Return the statistics of an annotation's values in its image.

    Parameters
    ----------
    image
        Looked at where blocks of the annotation hold several values.
    labels
        Of the same shape; counted, until there are more values than labels have.
    codes
        Count them.
    """
    seen, left = ValuesSeen(), _LOOKED_AT
    for roi in _blocks(labels, _SMALLEST_TILE, _BLOCK):
        stored = labels.read(roi)
        found = codes.counts(stored)
        seen.counts.update(found)
        if left and len(found) > 1:
            seen.look(image.read(roi), stored)
            left -= 1
        if len(seen.counts) > _MOST_VALUES:
            break
    return seen


def restricted(index: AnnotationIndex, domain: Roi, codes: Codes) -> AnnotationIndex:
    """Return the index of what lies inside a region of the volume.

    Parameters
    ----------
    index
        Of the whole volume.
    domain
        The region; tiles that its faces cut are counted anew.
    codes
        Reads the annotation.
    """
    start = index.tiles.astype(np.int64) * index.edge
    stop = start + index.edge
    within = ((start >= domain.start) & (stop <= domain.stop)).all(axis=1)
    touched = ((stop > domain.start) & (start < domain.stop)).all(axis=1)
    labelled, foreground = index.labelled.copy(), index.foreground.copy()
    for number in np.flatnonzero(touched & ~within):
        target = codes(index.roi(int(number)).intersection(domain))
        labelled[number] = np.count_nonzero(target != IGNORE)
        foreground[number] = np.count_nonzero(target == 1)
    kept = touched & (labelled > 0)
    return AnnotationIndex(
        index.edge, index.tiles[kept], labelled[kept], foreground[kept]
    )


def _blocks(labels: Volume, edge: int, block: int) -> Iterator[Roi]:
    steps = [
        ceil_to(min(max(chunk, block), _LARGEST_BLOCK), edge)
        for chunk in labels.chunk_shape
    ]
    whole = Roi.whole(labels.shape)
    ranges = (range(0, n, step) for n, step in zip(labels.shape, steps, strict=True))
    for z, y, x in product(*ranges):
        stop = to_zyx(a + step for a, step in zip((z, y, x), steps, strict=True))
        yield Roi((z, y, x), stop).intersection(whole)


def _tiles(
    known: NDArray[np.bool_], positive: NDArray[np.bool_], start: Zyx, edge: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    counts = [_counted(mask, edge) for mask in (known, positive)]
    tiles = np.argwhere(counts[0])
    labelled, foreground = (c[tuple(tiles.T)].astype(np.int64) for c in counts)
    return (tiles + np.array(start) // edge).astype(np.int32), labelled, foreground


def _counted(mask: NDArray[np.bool_], edge: int) -> NDArray[np.int64]:
    """Count the voxels of each tile, shape (tiles along z, y, x)."""
    counts = mask.astype(np.int64)
    for axis, n in enumerate(mask.shape):
        counts = np.add.reduceat(counts, range(0, n, edge), axis=axis)
    return counts
