"""A small sample of a whole volume, the same for every way to store or cut it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx
from blockseg.io.affordable import chunks_of
from blockseg.io.chunk_memory import readers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.io.protocol import Volume

_PLANES = 16
_PATCHES = 8  # along each of y and x, at least, where they have room
_MOST_PATCHES = 24
_APART = 256  # voxels between the centres of patches, in large planes
_EDGE = 64  # voxels


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSample:
    """Patches from all over a volume."""

    patches: tuple[NDArray[Any], ...] = field(repr=False)
    """2-D arrays, axes (y, x), by plane, then row, then column."""

    unreadable: tuple[tuple[str, str], ...]
    """Patches that could not be read: the region (z, y, x), and the reason."""

    rois: tuple[Roi, ...]
    """Boxes of the patches, one plane thick, in the volume's voxels."""

    damaged: tuple[str, ...] = ()
    """Files that are to blame for what could not be read, as far as they are known."""


def sample_planes(volume: Volume, threads: int = 4) -> PlaneSample:
    """Read 16 planes of 8 by 8 patches of 64 by 64 voxels, evenly spaced.

    Which voxels are taken depends on nothing but the volume's shape. Small
    volumes give fewer or smaller patches, which never overlap; axes longer than 2,304
    voxels more patches, one in 256 voxels, and at most 24.

    Parameters
    ----------
    volume
        What to sample.
    threads
        Patches read at the same time.

    Returns
    -------
    The patches, always in the same order; unreadable ones are passed over and
    recorded.
    """
    rois = sample_rois(volume.shape)

    def read(roi: Roi) -> NDArray[Any] | VolumeError:
        try:
            plane: NDArray[Any] = volume.read(roi)[0]
        except VolumeError as error:
            return error
        return plane

    # Chunk by chunk: a large one is then decoded once for all patches in it.
    chunk = volume.chunk_shape
    order = sorted(rois, key=lambda roi: chunks_of(roi, chunk).start)
    with ThreadPoolExecutor(readers(volume, threads)) as pool:
        by_roi = dict(zip(order, pool.map(read, order), strict=True))
    results = [(roi, by_roi[roi]) for roi in rois]
    errors = [(roi, found) for roi, found in results if isinstance(found, VolumeError)]
    return PlaneSample(
        tuple(found for _, found in results if not isinstance(found, VolumeError)),
        tuple((str(roi), str(error)) for roi, error in errors),
        tuple(roi for roi, found in results if not isinstance(found, VolumeError)),
        tuple(dict.fromkeys(error.file for _, error in errors if error.file)),
    )


def sample_rois(shape: Zyx) -> list[Roi]:
    """Return the regions, one plane thick, that :func:`sample_planes` reads."""
    depth, height, width = shape
    planes = min(_PLANES, depth)
    rows, columns = _spans(height), _spans(width)
    return [
        Roi((z, rows[j][0], columns[i][0]), (z + 1, rows[j][1], columns[i][1]))
        for z in ((2 * k + 1) * depth // (2 * planes) for k in range(planes))
        for j in range(len(rows))
        for i in range(len(columns))
    ]


def _spans(length: int) -> list[tuple[int, int]]:
    """Return the evenly spaced, disjoint pieces of an axis that are sampled."""
    edge = min(_EDGE, length)
    most = max(_PATCHES, min(_MOST_PATCHES, length // _APART))
    count = min(most, max(1, length // _EDGE))
    # Centres lie at least one edge apart, so pieces neither overlap nor stick out.
    starts = [(2 * i + 1) * length // (2 * count) - edge // 2 for i in range(count)]
    return [(start, start + edge) for start in starts]
