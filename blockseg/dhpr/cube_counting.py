"""Counts of a block's cubes, cube by cube, from grey levels and probabilities."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, ceil_to, floor_to, to_zyx
from blockseg.dhpr.cubes import CUBE, HISTOGRAMS, SUMS, CubeTable
from blockseg.dhpr.foreground import AROUND, bright_foreground, linked, surroundings
from blockseg.dhpr.grey_scale import CODES, NOT_COUNTED
from blockseg.dhpr.texture import texture
from blockseg.morphology.centreline import skeleton_length
from blockseg.morphology.topology import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.dhpr.grey_scale import GreyScale

PLUS = 51
"""Least probability byte of F⁺: 0.2; or the threshold of F, where that is lower."""

_OUTSIDE = 255  # code of a voxel outside the mask


def count_cubes(
    raw: NDArray[Any],
    probability: NDArray[np.uint8] | None,
    roi: Roi,
    scale: GreyScale,
    *,
    threshold: int = 128,
    inside: NDArray[np.bool_] | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> CubeTable:
    """Return the counts of all cubes that a block has voxels of.

    Nothing beyond a cube has a say in its counts, so that the blocks do not matter:
    F⁺ is linked to F, surrounded, thinned and counted inside the cube alone. Where a
    block, or the region, cuts a cube, its parts are counted like cubes of their own and
    added up by :func:`blockseg.dhpr.cubes.joined`; components and skeletons then end at
    the cut too.

    Parameters
    ----------
    raw
        Grey levels of the block, axes (z, y, x).
    probability
        255 p, same shape. None where there is no network: F and F⁺ are then what is
        4 s brighter than its surroundings, in pieces of 32 voxels or more.
    roi
        Place of the block in the volume.
    scale
        Grey scale of the run.
    threshold
        Least probability byte of F.
    inside
        Mask of the voxels that count, same shape; everywhere if not given.
    missing
        Voxels without data, same shape; none if not given.
    """
    holes = None
    if missing is not None:
        holes = missing if inside is None else missing & inside
        inside = ~missing if inside is None else inside & ~missing
    found = []
    for number, part in _parts(roi):
        at = part.slices(roi.start)
        counts = _counted(
            np.ascontiguousarray(raw[at]),
            None if probability is None else np.ascontiguousarray(probability[at]),
            None if inside is None else inside[at],
            0 if holes is None else int(np.count_nonzero(holes[at])),
            part.start,
            scale,
            threshold,
        )
        if counts is not None:
            found.append((number, part.start, part.stop, *counts))
    columns = list(zip(*found, strict=True)) or [()] * 5
    index, start, stop, sums = (np.array(c, np.int64) for c in columns[:4])
    return CubeTable(
        scale=scale,
        predicted=probability is not None,
        edge=(CUBE, CUBE, CUBE),
        origin=(0, 0, 0),
        index=index.reshape(-1, 3),
        start=start.reshape(-1, 3),
        stop=stop.reshape(-1, 3),
        sums=sums.reshape(-1, len(SUMS)),
        histograms=np.array(columns[4], np.uint32).reshape(-1, len(HISTOGRAMS), CODES),
    )


def _parts(roi: Roi) -> Iterator[tuple[Zyx, Roi]]:
    axes = [
        range(floor_to(a, CUBE) // CUBE, ceil_to(b, CUBE) // CUBE)
        for a, b in zip(roi.start, roi.stop, strict=True)
    ]
    for index in product(*axes):
        number = to_zyx(index)
        whole = Roi.whole((CUBE, CUBE, CUBE)).shifted(i * CUBE for i in number)
        yield number, whole.intersection(roi)


def _counted(
    raw: NDArray[Any],
    probability: NDArray[np.uint8] | None,
    inside: NDArray[np.bool_] | None,
    nodata: int,
    start: Zyx,
    scale: GreyScale,
    threshold: int,
) -> tuple[list[int], NDArray[np.int64]] | None:
    """Return the sums and histograms of a cube; None if none of its voxels count."""
    codes = scale.codes(raw)
    if inside is not None:
        codes[~inside] = _OUTSIDE
    every = np.bincount(codes.ravel(), minlength=_OUTSIDE + 1)
    sums = dict.fromkeys(SUMS, 0)
    sums["extent"] = raw.size
    sums["voxels"] = raw.size - int(every[_OUTSIDE])
    sums["nodata"] = nodata
    histograms = np.zeros((len(HISTOGRAMS), CODES), np.int64)
    if not sums["voxels"]:
        return (list(sums.values()), histograms) if nodata else None
    if raw.dtype.kind == "f":
        infinite = ~np.isfinite(raw) if inside is None else ~np.isfinite(raw) & inside
        sums["nonfinite"] = int(np.count_nonzero(infinite))
    sums["filled"] = int(every[NOT_COUNTED]) - sums["nonfinite"]
    sums["saturated"] = _saturated(raw, inside, every, scale)
    histograms[0] = every[:CODES]
    gaps = bool(every[NOT_COUNTED:].any())
    if probability is None:
        bright = bright_foreground(codes, start, scale)
        at = _surrounded(bright)
        _measure(sums, histograms, codes[at], bright[at], bright[at])
    else:
        at = _surrounded(probability >= min(PLUS, threshold))
        p = probability[at]
        plus = linked(p >= min(PLUS, threshold), p >= threshold)
        _measure(sums, histograms, codes[at], p >= threshold, plus)
        sums["entropy"] = int(_ENTROPY[p[plus]].sum(dtype=np.int64))
    sums |= texture(codes, start, gaps=gaps)
    return list(sums.values()), histograms


def _surrounded(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Index the box of a mask and what surrounds it; most cubes hold little."""
    box = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        found = np.flatnonzero(mask.any(axis=axes))
        if not found.size:
            return (slice(0),) * 3
        first = max(int(found[0]) - AROUND, 0)
        # An even start: centrelines are those of pairs of voxels of the cube.
        box.append(slice(first - first % 2, int(found[-1]) + AROUND + 1))
    return tuple(box)


def _measure(
    sums: dict[str, int],
    histograms: NDArray[np.int64],
    codes: NDArray[np.uint8],
    foreground: NDArray[np.bool_],
    plus: NDArray[np.bool_],
) -> None:
    if not foreground.any():
        return
    sums["foreground"] = int(np.count_nonzero(foreground))
    sums["plus"] = int(np.count_nonzero(plus))
    sums["components"] = labelled(foreground)[1]
    sums["skeleton"] = skeleton_length(foreground)
    # Which of the other histograms a voxel is in, 0 for the background's.
    row = surroundings(plus).view(np.uint8)
    row[plus] = HISTOGRAMS.index("doubtful")
    row[foreground] = HISTOGRAMS.index("foreground")
    places = np.flatnonzero(row != 0)
    found = row.ravel()[places].astype(np.intp) * 256 + codes.ravel()[places]
    counted = np.bincount(found, minlength=len(HISTOGRAMS) * 256)
    histograms[1:] = counted.reshape(-1, 256)[1:, :CODES]
    histograms[0] -= histograms[1:].sum(axis=0)


def _saturated(
    raw: NDArray[Any],
    inside: NDArray[np.bool_] | None,
    every: NDArray[np.int64],
    scale: GreyScale,
) -> int:
    first = scale.first_saturated
    # Most cubes have no voxel that bright, and need no second look.
    if first is None or not every[first:CODES].any():
        return 0
    found = raw >= scale.saturation
    return int(np.count_nonzero(found if inside is None else found & inside))


def _entropies() -> NDArray[np.uint16]:
    """Return the entropy of each probability byte, in 1/65535 bit."""
    p = np.arange(1, 255) / 255
    bits = np.zeros(256)
    bits[1:255] = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    return np.rint(bits * 65_535).astype(np.uint16)


_ENTROPY = _entropies()
