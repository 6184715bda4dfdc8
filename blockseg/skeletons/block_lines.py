"""Centrelines of one block, as it hands them over to be joined with others."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import LedgerError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.skeletons.cavities import EDGE, filled
from blockseg.skeletons.neighbourhood import OFFSETS
from blockseg.skeletons.thinning import LAYERS, REACH, Cut, thin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

HALOS = (32, 64, EDGE + REACH)
"""Voxels that are read around a block: more where the lines might depend on more. The
last is enough whatever there is."""

RADIUS_HALO = 16
"""Voxels around a block in which radii are measured, and the greatest of them."""

_MAGIC = b"blkline1"
_COLUMNS = (
    ("component", "<u8"),
    ("voxel", "<i8"),
    ("radius", "<f4"),
    ("core", "|b1"),
    ("edges", "<i8"),
)


@dataclass(frozen=True, slots=True)
class BlockLines:
    """Voxels of centrelines in a block, and which of them are neighbours.

    Rows of an object follow each other, objects by rising id.
    """

    component: NDArray[np.uint64]
    """(n,), id of the object."""

    voxel: NDArray[np.int64]
    """(n,), C-order number in the image; rising within an object."""

    radius: NDArray[np.float32]
    """(n,), distance to the background in the unit of the voxel size."""

    core: NDArray[np.bool_]
    """(n,), whether it is no line but part of something thick."""

    edges: NDArray[np.int64]
    """(m, 2), numbers of neighbouring voxels, the lower one, of this block, first."""

    def __len__(self) -> int:
        return len(self.voxel)

    def to_bytes(self) -> bytes:
        """Return it packed; the same bytes for the same lines."""
        arrays = [
            np.ascontiguousarray(getattr(self, name), dtype) for name, dtype in _COLUMNS
        ]
        # Differences of sorted numbers are small, and pack well.
        arrays[1] = np.diff(arrays[1], prepend=np.int64(0))
        arrays[4] = np.stack(
            [
                np.diff(arrays[4][:, 0], prepend=np.int64(0)),
                arrays[4][:, 1] - arrays[4][:, 0],
            ],
            axis=1,
        )
        head = struct.pack("<qq", len(self.voxel), len(self.edges))
        body = b"".join(array.tobytes() for array in arrays)
        return _MAGIC + zlib.compress(head + body, 1)

    @classmethod
    def from_bytes(cls, packed: bytes, where: str = "") -> BlockLines:
        """Return what :meth:`to_bytes` packed.

        Raises
        ------
        LedgerError
            If it is something else.
        """
        try:
            if packed[:8] != _MAGIC:
                raise ValueError  # noqa: TRY301
            content = zlib.decompress(packed[8:])
            rows, pairs = struct.unpack_from("<qq", content)
            arrays, at = [], 16
            for name, dtype in _COLUMNS:
                count = 2 * pairs if name == "edges" else rows
                array = np.frombuffer(content, dtype, count, at)
                arrays.append(array)
                at += array.nbytes
        except (ValueError, struct.error, zlib.error) as error:
            message = (
                f"the centrelines of a block {where} are damaged; start over with "
                "--overwrite"
            )
            raise LedgerError(message) from error
        component, voxel, radius, core, edges = arrays
        steps = edges.reshape(-1, 2)
        first = np.cumsum(steps[:, 0])
        pairs_of = np.stack([first, first + steps[:, 1]], axis=1)
        return cls(component, np.cumsum(voxel), radius, core, pairs_of)

    def part(self, rows: NDArray[np.bool_]) -> BlockLines:
        """Return some rows, whole objects of them, and the edges that begin there."""
        kept = np.sort(self.voxel[rows])
        low = self.edges[:, 0]
        at = np.minimum(np.searchsorted(kept, low), max(len(kept) - 1, 0))
        own = kept[at] == low if len(kept) else np.zeros(len(low), bool)
        return BlockLines(
            self.component[rows],
            self.voxel[rows],
            self.radius[rows],
            self.core[rows],
            self.edges[own],
        )


def nothing() -> BlockLines:
    """Return the lines of a block without objects."""
    return BlockLines(
        np.zeros(0, np.uint64),
        np.zeros(0, np.int64),
        np.zeros(0, np.float32),
        np.zeros(0, bool),
        np.zeros((0, 2), np.int64),
    )


def block_lines(
    read: Callable[[Roi], NDArray[Any]],
    own: Roi,
    shape: Zyx,
    voxel_size: Sequence[float],
    *,
    halos: Sequence[int] = HALOS,
    layers: int = LAYERS,
) -> BlockLines:
    """Return the centrelines of a block, the same voxels as those of the whole image.

    Parameters
    ----------
    read
        Returns the objects in a box of the image, shape (z, y, x): ids, 0 in the
        background.
    own
        The block.
    shape
        Voxels of the image.
    voxel_size
        Edge lengths along (z, y, x), in which radii are measured.
    halos
        Voxels to read around the block, rising: the next where what lies beyond might
        change its lines. After the last they stand as they are.
    layers
        Layers that are peeled off at most.
    """
    image = Roi.whole(shape)
    for halo in halos:
        grown = own.grown((halo,) * 3).intersection(image)
        labels = read(grown)
        if not labels[own.slices(grown.start)].any():
            return nothing()
        labels = filled(labels)
        # Near the side of what was read a cavity may have been missed.
        window = own.grown((halo - EDGE,) * 3).intersection(image)
        labels = np.ascontiguousarray(labels[window.slices(grown.start)])
        thinned = thin(labels, window.start, _cut(window, shape), layers=layers)
        seen = own.grown((2, 2, 2)).intersection(window)
        if not _inside(thinned.doubt, window, seen).any():
            break
    place = thinned.place
    mine = _inside(place, window, own)
    number = _moved(place, window, image)
    code = thinned.code
    edges = [np.zeros((0, 2), np.int64)]
    strides = (shape[1] * shape[2], shape[2], 1)
    for k in range(13, 26):  # neighbours with higher numbers
        step = sum(o * s for o, s in zip(OFFSETS[k], strides, strict=True))
        low = number[mine & ((code >> np.uint32(k)) & np.uint32(1) > 0)]
        edges.append(np.stack([low, low + step], axis=1))
    pairs = np.concatenate(edges)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    at = place[mine]
    component = labels.reshape(-1)[at].astype(np.uint64)
    order = np.lexsort((number[mine], component))
    radius = _radii(labels, window, own, voxel_size, at)
    return BlockLines(
        component[order],
        number[mine][order],
        radius[order],
        thinned.core[mine][order],
        pairs,
    )


def _cut(window: Roi, shape: Zyx) -> Cut:
    z, y, x = (
        (a > 0, b < n) for a, b, n in zip(window.start, window.stop, shape, strict=True)
    )
    return (z, y, x)


def _inside(place: NDArray[np.int64], window: Roi, box: Roi) -> NDArray[np.bool_]:
    """Say which places of a window lie in a box of the image."""
    inside = np.ones(len(place), bool)
    at = np.unravel_index(place, window.shape)
    for n, o, a, b in zip(at, window.start, box.start, box.stop, strict=True):
        inside &= (n + o >= a) & (n + o < b)
    return inside


def _moved(place: NDArray[np.int64], window: Roi, image: Roi) -> NDArray[np.int64]:
    """Return numbers in the image of numbers in a window."""
    at = np.unravel_index(place, window.shape)
    z, y, x = (n + o for n, o in zip(at, window.start, strict=True))
    return np.asarray(np.ravel_multi_index((z, y, x), image.shape), np.int64)


def _radii(
    labels: NDArray[Any],
    window: Roi,
    own: Roi,
    voxel_size: Sequence[float],
    place: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return distances of voxels to the background, as far as every block can tell."""
    import edt

    size = tuple(map(float, voxel_size))
    near = own.grown((RADIUS_HALO,) * 3).intersection(window)
    mask = np.ascontiguousarray(labels[near.slices(window.start)] != 0)
    most = RADIUS_HALO * min(size)
    if mask.all():
        return np.full(len(place), most, np.float32)
    distance = edt.edt(mask, anisotropy=size, black_border=False, parallel=1)
    at = _moved(place, window, Roi.whole(to_zyx(window.stop)))
    z, y, x = np.unravel_index(at, window.stop)
    a, b, c = near.start
    found = distance[z - a, y - b, x - c]
    return np.asarray(np.minimum(found, most), np.float32)


def joined(pieces: Iterator[BlockLines]) -> BlockLines:
    """Return lines of several blocks as one."""
    parts = [nothing(), *pieces]
    component = np.concatenate([p.component for p in parts])
    voxel = np.concatenate([p.voxel for p in parts])
    order = np.lexsort((voxel, component))
    return BlockLines(
        component[order],
        voxel[order],
        np.concatenate([p.radius for p in parts])[order],
        np.concatenate([p.core for p in parts])[order],
        np.concatenate([p.edges for p in parts]),
    )
