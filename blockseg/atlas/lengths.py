"""Length of traced neurites, by region of an atlas and by voxel of a density map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.path_pieces import Segments, counted, cut, tree_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from blockseg.atlas.transform import Mapped
    from blockseg.atlas.volume import Atlas
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.morphology.swc import Tree


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Lengths that add up exactly, in units of ``path_pieces.LENGTH_UNIT``."""

    key: NDArray[np.int64]
    """Regions or voxels, (n,), rising, each once."""

    units: NDArray[np.int64]
    """Length in each, (n,)."""

    in_sample: NDArray[np.int64]
    """The same paths as they lie in the sample, before any transform, (n,)."""

    @classmethod
    def none(cls) -> Lengths:
        """Return no length."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing)

    @classmethod
    def sum(cls, parts: Sequence[Lengths]) -> Lengths:
        """Return the lengths of several parts together."""
        if not parts:
            return cls.none()
        key, which = np.unique(
            np.concatenate([part.key for part in parts]), return_inverse=True
        )
        units, in_sample = (np.zeros(len(key), np.int64) for _ in range(2))
        np.add.at(units, which, np.concatenate([part.units for part in parts]))
        np.add.at(in_sample, which, np.concatenate([part.in_sample for part in parts]))
        return cls(key, units, in_sample)

    def to_bytes(self) -> bytes:
        """Return them as bytes, little-endian."""
        table = np.stack([self.key, self.units, self.in_sample])
        return table.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Lengths:
        """Return what :meth:`to_bytes` wrote."""
        key, units, in_sample = (
            np.frombuffer(data, "<i8").astype(np.int64).reshape(3, -1)
        )
        return cls(key, units, in_sample)


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    place: Segments
    """In µm of the atlas, or of the sample where nothing maps it."""

    units: NDArray[np.float64]
    """Length of each segment there, in µm."""

    in_sample: NDArray[np.float64]
    """Length of each in the sample, in µm."""


def by_region(
    tree: Tree, atlas: Atlas, mapped: Mapped | None = None, step: float = np.inf
) -> Lengths:
    """Return the length of a neuron in each region; 0 is outside of all.

    Paths are cut exactly where they leave one voxel of the atlas for the next.

    Parameters
    ----------
    tree
        In µm of the sample.
    atlas
        The regions.
    mapped, step
        Way from the sample to the atlas, and the length in µm of the sample over which it
        is taken for straight; None where both are in the same space.
    """
    parts = []
    for path in _paths(tree, mapped, step):
        voxels = Segments(
            atlas.spec.voxels(path.place.start), atlas.spec.voxels(path.place.stop)
        )
        pieces = cut(voxels)
        number = _numbers(pieces.voxel, atlas.spec.shape)
        # Most pieces follow each other in one voxel: each voxel is looked up once.
        places, which = np.unique(number, return_inverse=True)
        voxels_there = np.stack(
            np.unravel_index(places[places >= 0], atlas.spec.shape), 1
        )
        ids = np.zeros(len(places), np.int64)
        ids[places >= 0] = atlas.at_voxels(voxels_there)
        region = ids[which]
        parts.append(_summed(region, pieces.share, pieces.segment, path))
    return Lengths.sum(parts)


def by_voxel(
    tree: Tree,
    shape: Zyx,
    space: Space,
    mapped: Mapped | None = None,
    step: float = np.inf,
) -> Lengths:
    """Return the length of a neuron in each voxel of a lattice; −1 is outside of it.

    Parameters
    ----------
    tree
        In µm of the sample.
    shape, space
        Voxels of the lattice, their size and place in µm.
    mapped, step
        As of :func:`by_region`; None where the lattice lies in the space of the sample.

    Returns
    -------
    Lengths
        By the C-order number of the voxel.
    """
    parts = []
    for path in _paths(tree, mapped, step):
        size, first = np.array(space.voxel_size), np.array(space.translation)
        pieces = cut(
            Segments(
                (path.place.start - first) / size, (path.place.stop - first) / size
            )
        )
        number = _numbers(pieces.voxel, shape)
        parts.append(_summed(number, pieces.share, pieces.segment, path))
    return Lengths.sum(parts)


def _numbers(voxel: NDArray[np.int64], shape: Zyx) -> NDArray[np.int64]:
    """Return C-order numbers of voxels (n, 3); −1 of those outside of the lattice."""
    inside = np.all((voxel >= 0) & (voxel < shape), axis=1)
    number = np.full(len(voxel), -1, np.int64)
    number[inside] = np.ravel_multi_index(tuple(voxel[inside].T), shape)
    return number


def _paths(tree: Tree, mapped: Mapped | None, step: float) -> Iterator[_Path]:
    for batch in tree_segments(tree).batches():
        if mapped is None:
            length = batch.length
            yield _Path(batch, length, length)
            continue
        fine = batch if np.isinf(step) else batch.no_longer_than(step)
        for part in fine.batches():
            there = Segments(mapped(part.start), mapped(part.stop))
            yield _Path(there, there.length, part.length)


def _summed(
    key: NDArray[np.int64],
    share: NDArray[np.float64],
    segment: NDArray[np.int64],
    path: _Path,
) -> Lengths:
    units = counted(share * path.units[segment])
    in_sample = units
    if path.in_sample is not path.units:
        in_sample = counted(share * path.in_sample[segment])
    return Lengths.sum([Lengths(key, units, in_sample)])
