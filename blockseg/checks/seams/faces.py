"""Windows that straddle faces between blocks, a sample of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import Block

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.grid import BlockGrid

_FULL = 0.8
"""Share of the sample on faces of blocks that hold something, where there are so many."""


@dataclass(frozen=True, slots=True)
class Face:
    """Face between two blocks that are written."""

    axis: int
    """Axis that it is perpendicular to."""

    before: int
    """Number of the block before it."""

    behind: int
    """Number of the block behind it."""


def written_faces(grid: BlockGrid, done: NDArray[np.bool_]) -> list[Face]:
    """Return the faces between blocks that are both written.

    Parameters
    ----------
    grid
        The blocks.
    done
        Which of them are written, by number.
    """
    numbers = np.arange(len(grid)).reshape(grid.counts)
    faces: list[Face] = []
    for axis in range(3):
        before = np.delete(numbers, -1, axis).ravel()
        behind = np.delete(numbers, 0, axis).ravel()
        both = done[before] & done[behind]
        pairs = zip(before[both].tolist(), behind[both].tolist(), strict=True)
        faces += [Face(axis, *pair) for pair in pairs]
    return faces


def sample_faces(
    faces: list[Face],
    full: NDArray[np.bool_],
    count: int,
    random: np.random.Generator,
) -> list[Face]:
    """Return some faces, chosen at random without repetition.

    Parameters
    ----------
    faces
        To choose from.
    full
        Which blocks hold anything, by number: a face between empty ones tells little.
    count
        How many; fewer where there are not so many.
    random
        Chooses.
    """
    holds = np.array([full[one.before] or full[one.behind] for one in faces], bool)
    some, others = (random.permutation(np.flatnonzero(w)) for w in (holds, ~holds))
    wanted = max(round(_FULL * count), count - len(others))
    chosen = np.concatenate([some[:wanted], others])[:count]
    return [faces[int(place)] for place in chosen]


def straddling(
    face: Face, grid: BlockGrid, window: Zyx, random: np.random.Generator
) -> Block:
    """Return a window across a face, as a block that no grid has.

    Parameters
    ----------
    face
        Between two blocks of the grid.
    grid
        Of the run.
    window
        Voxels along (z, y, x) that the run's engine writes at once.
    random
        Chooses the place along the face.

    Returns
    -------
    Block
        Of the window's shape, where the region is as large; half of it on either side of
        the face.
    """
    behind = grid.numbered(face.behind).write_roi
    before = grid.numbered(face.before).write_roi
    start, stop = [], []
    for axis, size in enumerate(window):
        low, high = grid.region.start[axis], grid.region.stop[axis]
        if axis == face.axis:
            first = behind.start[axis] - size // 2
        else:
            span = min(before.stop[axis], behind.stop[axis]) - behind.start[axis]
            first = behind.start[axis] + int(random.integers(span)) - size // 2
        # Elsewhere the engine would need several windows to cover it.
        first -= first % grid.alignment
        first = max(low, min(first, high - size))
        start.append(first)
        stop.append(min(first + size, high))
    write = Roi(to_zyx(start), to_zyx(stop))
    read = write.aligned(grid.alignment).grown(grid.halo)
    return Block(
        -1, (-1, -1, -1), write, read.intersection(Roi.whole(grid.volume_shape))
    )
