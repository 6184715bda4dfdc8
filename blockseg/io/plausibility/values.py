"""Voxels that look as if their bits were of another type than the source states."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.affordable import affordable, chunks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from blockseg.core.choices import SourceChoices
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_BOX = (32, 128, 128)  # voxels read at a place
_PLACES = (0.5, 0.2, 0.8)  # of the volume along each axis, 27 in all
_OF_UINT16 = 3  # of these: where bytes are wrong it shows everywhere
_DECODED = 2**22  # voxels a place
_LARGEST = 2**24  # voxels of a chunk that is decoded for this
_SECONDS = 0.4  # after which no other place is read

_FEW = 8  # voxels that may be an accident
_SHALLOW, _DEEP = -64, -1024  # grey levels: noise around 0 reaches the one, seldom
_END = 2**14  # beyond it towards either end lies the end of the range
_MOST = 0.2  # share of the voxels that may lie deep, of data that were wrapped
_NO_DATA = (-32768, -32767, -9999)
_EDGE = 512  # grey levels next to an end
_SEAM = 0.02  # share of the voxels that lie just below 0, of data that are signed
_AT_ONCE = 2**18  # voxels that are counted together
_SOME = 2**20  # voxels that tell the order of bytes
_SMOOTHER = 16  # times, by which bytes in their right order differ less


def are_of_another_type(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> Iterator[str]:
    """Yield a line where 16-bit voxels look like those of another type."""
    if choices.stored_as is None and volume.dtype.name in ("int16", "uint16"):
        found = doubtful_type(list(_boxes(volume)))
        if found:
            yield f"{spec.uri} {found}"


def doubtful_type(patches: Sequence[NDArray[Any]]) -> str:
    """Say of what other type 16-bit voxels look to be; nothing if of none.

    Parameters
    ----------
    patches
        Of a volume, all of one type, neighbours along the last axis.
    """
    patches = [patch for patch in patches if patch.size > 1]
    if not patches or patches[0].dtype.name not in ("int16", "uint16"):
        return ""
    kind = patches[0].dtype
    total = sum(patch.size for patch in patches)
    if _swapped([patch[:: -(-total // _SOME)] for patch in patches]):
        return (
            f"states {kind.name}, and neighbouring voxels differ much less with "
            "their two bytes in the other order: rewrite it with the right byte order, "
            f"or give --as {kind.name} if it is right"
        )
    voxels = _counted(patches)
    if kind.name == "int16" and _wrapped(patches, voxels, total):
        return (
            "states int16, but bright voxels go on at the negative end of int16, as those "
            "of uint16 do that are stored as int16: give --as uint16 if they are, "
            "--as int16 if not"
        )
    if kind.name == "uint16" and _signed(patches, voxels, total):
        return (
            "states uint16, but dark voxels go on at the bright end of uint16, as negative "
            "ones of int16 do that are stored as uint16: give --as int16 if they are, "
            "--as uint16 if not"
        )
    return ""


def _counted(patches: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return how often each value occurs, from the least of the type to its greatest."""
    kind = patches[0].dtype.newbyteorder("=")
    lowest = np.array(np.iinfo(kind).min, kind).view(np.uint16)
    return _tallied(bits - lowest for bits in _native(patches))


def _native(patches: Sequence[NDArray[Any]]) -> Iterator[NDArray[np.uint16]]:
    """Yield the voxels of each patch as unsigned ones, in this machine's byte order."""
    for patch in patches:
        kind = patch.dtype.newbyteorder("=")
        yield patch.ravel().astype(kind, copy=False).view(np.uint16)


def _tallied(parts: Iterable[NDArray[Any]]) -> NDArray[np.int64]:
    """Return how often each of the numbers from 0 to 65535 occurs."""
    counts = np.zeros(2**16, np.int64)
    waiting: list[NDArray[Any]] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _AT_ONCE:
            counts += np.bincount(np.concatenate(waiting), minlength=len(counts))
            waiting, size = [], 0
    if waiting:
        counts += np.bincount(np.concatenate(waiting), minlength=len(counts))
    return counts


def _thinned(patches: Sequence[NDArray[Any]], step: int) -> NDArray[Any]:
    """Return the voxels ``[::step]`` of the patches, laid end to end."""
    parts, before = [], 0
    for patch in patches:
        parts.append(patch.ravel()[-before % step :: step])
        before += patch.size
    return np.concatenate(parts)


def _wrapped(
    patches: Sequence[NDArray[Any]], voxels: NDArray[np.int64], total: int
) -> bool:
    """Whether int16 voxels of 32768 and more seem to have become negative.

    What is signed by nature goes on from the most of it: the fewer, the farther below.
    """
    zero = 2**15
    if not voxels[: zero + _DEEP].any():
        return False
    if np.median(_thinned(patches, 1 + total // 2**20)) >= _DEEP:
        low = voxels[: zero + _DEEP].copy()
        low[[zero + value for value in _NO_DATA]] = 0
        shallow = voxels[zero + _DEEP : zero + _SHALLOW].sum()
        if _FEW <= low.sum() <= _MOST * total and low.sum() > shallow:
            apart = not shallow and np.count_nonzero(low) >= _FEW
            if apart or low[: zero - _END].sum() >= _FEW:
                return True
    # Where much is about 32768 bright, one end goes on at the other.
    above = voxels[-_EDGE:-1].sum()
    below = voxels[1:_EDGE].sum()
    alike = 0 < max(above, below) <= 8 * min(above, below)
    return bool(alike and above >= _EDGE // 16) and _jumps(patches) >= _FEW


def _signed(
    patches: Sequence[NDArray[Any]], voxels: NDArray[np.int64], total: int
) -> bool:
    """Whether uint16 voxels below 0 seem to have become bright."""
    least = _SEAM * total
    top = voxels[_DEEP:-1].sum()
    middle = voxels[2**15 : _DEEP].sum()
    bottom = voxels[:-_DEEP].sum()
    return bool(
        min(top, bottom) >= least and top > 20 * middle and _jumps(patches) >= least
    )


def _swapped(patches: Sequence[NDArray[Any]]) -> bool:
    """Whether the two bytes of each voxel seem to be in the wrong order.

    8-bit data that were scaled by 256 look like that too, but their low bytes are all the
    same.
    """
    lows = _tallied(bits & 255 for bits in _native(patches))
    if lows.sum() - lows.max() < _FEW:
        return False
    other = _step(patch.byteswap() for patch in patches)
    return _step(patches) >= _SMOOTHER * max(1.0, other)


def _step(patches: Iterable[NDArray[Any]]) -> float:
    """Return the mean difference of neighbours, the greatest tenth left out."""
    counts = _tallied(
        np.abs(np.diff(patch.astype(np.int32))).ravel() for patch in patches
    )
    total = int(counts.sum())
    if not total:
        return 0.0
    kept = total * 9 // 10 + 1
    some = np.minimum(counts, np.maximum(kept - (np.cumsum(counts) - counts), 0))
    return float(np.arange(len(counts)) @ some) / kept


def _jumps(patches: Sequence[NDArray[Any]]) -> int:
    """Count neighbours that are more than half of the range apart."""
    return sum(
        int(np.count_nonzero(np.abs(np.diff(patch.astype(np.int32))) > 2**15))
        for patch in patches
    )


def _boxes(volume: Volume) -> Iterator[NDArray[Any]]:
    """Read boxes from all over a volume, the middle first, for a moment."""
    end = time.monotonic() + _SECONDS
    rois = _rois(volume)
    for roi in rois if volume.dtype.kind == "i" else rois[:_OF_UINT16]:
        try:
            yield volume.read(roi)
        except VolumeError:
            continue  # what cannot be read is told elsewhere
        if time.monotonic() > end:
            return


def _rois(volume: Volume) -> list[Roi]:
    found: dict[Roi, None] = {}
    for z in _PLACES:
        for y in _PLACES:
            for x in _PLACES:
                starts = [
                    round(place * max(0, n - edge))
                    for place, n, edge in zip(
                        (z, y, x), volume.shape, _BOX, strict=True
                    )
                ]
                stops = (
                    min(a + edge, n)
                    for a, n, edge in zip(starts, volume.shape, _BOX, strict=True)
                )
                roi = Roi(to_zyx(starts), to_zyx(stops))
                roi = affordable(roi, volume.chunk_shape, _DECODED)
                chunks = chunks_of(roi, volume.chunk_shape)
                if chunks.size * math.prod(volume.chunk_shape) <= _LARGEST:
                    found[roi] = None
    return list(found)
