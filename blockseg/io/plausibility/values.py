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
    from collections.abc import Iterator, Sequence

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
    values = np.concatenate([patch.ravel() for patch in patches])
    every = -(-len(values) // _SOME)
    if _swapped([patch[::every] for patch in patches]):
        return (
            f"states {values.dtype.name}, and neighbouring voxels differ much less with "
            "their two bytes in the other order: rewrite it with the right byte order, "
            f"or give --as {values.dtype.name} if it is right"
        )
    if values.dtype.name == "int16" and _wrapped(patches, values):
        return (
            "states int16, but bright voxels go on at the negative end of int16, as those "
            "of uint16 do that are stored as int16: give --as uint16 if they are, "
            "--as int16 if not"
        )
    if values.dtype.name == "uint16" and _signed(patches, values):
        return (
            "states uint16, but dark voxels go on at the bright end of uint16, as negative "
            "ones of int16 do that are stored as uint16: give --as int16 if they are, "
            "--as uint16 if not"
        )
    return ""


def _wrapped(patches: Sequence[NDArray[Any]], values: NDArray[Any]) -> bool:
    """Whether int16 voxels of 32768 and more seem to have become negative.

    What is signed by nature goes on from the most of it: the fewer, the farther below.
    """
    if values.min() >= _DEEP:
        return False
    if np.median(values[:: 1 + len(values) // 2**20]) >= _DEEP:
        low = values[(values < _DEEP) & ~np.isin(values, _NO_DATA)]
        shallow = np.count_nonzero((values >= _DEEP) & (values < _SHALLOW))
        if _FEW <= len(low) <= _MOST * len(values) and len(low) > shallow:
            apart = not shallow and len(np.unique(low)) >= _FEW
            if apart or np.count_nonzero(low < -_END) >= _FEW:
                return True
    # Where much is about 32768 bright, one end goes on at the other.
    above = np.count_nonzero((values >= 2**15 - _EDGE) & (values < 2**15 - 1))
    below = np.count_nonzero((values < _EDGE - 2**15) & (values > -(2**15)))
    alike = 0 < max(above, below) <= 8 * min(above, below)
    return bool(alike and above >= _EDGE // 16) and _jumps(patches) >= _FEW


def _signed(patches: Sequence[NDArray[Any]], values: NDArray[Any]) -> bool:
    """Whether uint16 voxels below 0 seem to have become bright."""
    least = _SEAM * len(values)
    top = np.count_nonzero((values >= 2**16 + _DEEP) & (values < 2**16 - 1))
    middle = np.count_nonzero((values >= 2**15) & (values < 2**16 + _DEEP))
    bottom = np.count_nonzero(values < -_DEEP)
    return bool(
        min(top, bottom) >= least and top > 20 * middle and _jumps(patches) >= least
    )


def _swapped(patches: Sequence[NDArray[Any]]) -> bool:
    """Whether the two bytes of each voxel seem to be in the wrong order.

    8-bit data that were scaled by 256 look like that too, but their low bytes are all the
    same.
    """
    values = np.concatenate([patch.ravel() for patch in patches])
    lows = np.bincount(values.view(np.uint16) & 255, minlength=256)
    if lows.sum() - lows.max() < _FEW:
        return False
    other = _step([patch.byteswap() for patch in patches])
    return _step(patches) >= _SMOOTHER * max(1.0, other)


def _step(patches: Sequence[NDArray[Any]]) -> float:
    """Return the mean difference of neighbours, the greatest tenth left out."""
    steps = np.concatenate(
        [np.abs(np.diff(patch.astype(np.int32))).ravel() for patch in patches]
    )
    if not len(steps):
        return 0.0
    kept = np.partition(steps, len(steps) * 9 // 10)[: len(steps) * 9 // 10 + 1]
    return float(kept.mean())


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
