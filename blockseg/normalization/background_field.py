"""Level and noise of the background as smooth functions over the volume.

The sample is cut into squares, so small that light hardly varies within one, and each is
judged by itself, by the rules of
:func:`~blockseg.normalization.background.estimate_background`. A node takes the median of
the squares around it: squares that neurites or a bright edge fill have no say as long as
they are the fewer ones, and dark tissue is judged by what lies beside it, not by the
brightest tissue of the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import to_zyx
from blockseg.core.specs import AffineField
from blockseg.normalization.affine import CEILING, affine
from blockseg.normalization.background import zero_is_background
from blockseg.normalization.squares import judged_squares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector
    from blockseg.core.specs import Affine, Normalization
    from blockseg.normalization.background import Background
    from blockseg.normalization.squares import Squares

NODES = 32
"""Most nodes along an axis."""

SPACING = 32
"""Least distance of nodes in voxels: the edge of a square."""

REACH = 2.0
"""Distance in nodes up to which squares have a say."""

WIDTH = 1.2
"""Distance in nodes at which a square counts 1/e as much as one at the node."""

FEWEST = 128
"""Counted voxels below which a square has no say."""

FEWEST_SQUARES = 4
"""Squares with a say below which a node has no values of its own."""

STEEPEST = 0.5
"""Least s of a node, as a share of the largest among its neighbours: between dark and
bright tissue s would else rise later than the tissue's brightness."""

BEND = 0.1
"""Share of the bend of b at a node that counts as noise: where the light jumps, a line
between two nodes is so far off."""

_NEIGHBOURS = 192  # squares that a node looks at, at most
_NODES_AT_ONCE = 512  # whose neighbours are weighed together: a megabyte an array


@dataclass(frozen=True, slots=True)
class BackgroundField:
    """Background of a volume at the nodes of a coarse grid."""

    nodes: Zyx
    """Nodes along (z, y, x)."""

    start: Vector
    """Position of the first node (z, y, x), in voxels of the volume."""

    step: Vector
    """Distance of nodes along (z, y, x), in voxels."""

    level: tuple[float, ...]
    """b at each node in C order, in grey levels."""

    sd: tuple[float, ...]
    """s at each node in C order, in grey levels; above 0."""

    squares: int
    """Sampled squares that count."""

    left_out: int
    """Sampled squares with too few voxels that may be background."""

    filled: int = 0
    """Nodes without enough squares around them, which take the values of the nearest
    node that has."""

    def affine(
        self, gain: float, clip: tuple[float, float] = (-CEILING, CEILING)
    ) -> AffineField:
        """Return the normalisation that maps b to 0 and s to the gain.

        Parameters
        ----------
        gain
            What the weights see as one SD of the background.
        clip
            Least and greatest value that the weights were trained on.
        """
        scale = tuple(sd / gain for sd in self.sd)
        return AffineField(self.nodes, self.start, self.step, self.level, scale, *clip)


def estimate_field(
    patches: Sequence[npt.NDArray[Any]],
    rois: Sequence[Roi],
    shape: Zyx,
    dtype: npt.DTypeLike,
) -> BackgroundField | None:
    """Estimate how the background varies over a volume.

    Nodes are the centres of equal parts of each axis, at most ``NODES`` of at least
    ``SPACING`` voxels each, and no more than the sample has places for along that axis.
    b and s of a node are the weighted medians of those of the squares within ``REACH``
    nodes, a square at d nodes counting exp(-(d / ``WIDTH``)²) times its voxels. s is at
    least ``STEEPEST`` times that of each neighbour; to its square comes that of ``BEND``
    times the largest second difference of b along an axis. A node with fewer than
    ``FEWEST_SQUARES`` squares around it, as in a region filled with 0, takes the values of
    the nearest node that has more.

    Parameters
    ----------
    patches
        Raw voxels ``(y, x)`` of a sample of the volume.
    rois
        Where each lies, one plane thick.
    shape
        Of the volume, voxels along (z, y, x).
    dtype
        Of the volume; its maximum counts as saturated if it is an integer type.

    Returns
    -------
    BackgroundField or None
        None where there would be one node only, no node has squares enough, or 0 is the
        background: one b and s for the whole volume say all that is known.
    """
    squares = field_squares(patches, rois, shape, dtype)
    return None if squares is None else field_of(squares, rois, shape)


def field_squares(
    patches: Sequence[npt.NDArray[Any]],
    rois: Sequence[Roi],
    shape: Zyx,
    dtype: npt.DTypeLike,
) -> Squares | None:
    """Judge the squares of a sample, which is not needed afterwards.

    Parameters
    ----------
    patches, rois, shape, dtype
        As of :func:`estimate_field`.

    Returns
    -------
    Squares or None
        None where there would be one node only, no square counts, or 0 is the background.
    """
    if max(_nodes(shape, rois)) == 1 or zero_is_background(patches):
        return None
    squares = judged_squares(patches, rois, dtype)
    return squares if (squares.voxels >= FEWEST).any() else None


def field_of(
    squares: Squares, rois: Sequence[Roi], shape: Zyx
) -> BackgroundField | None:
    """Estimate a field from the squares of a sample.

    Parameters
    ----------
    squares
        From :func:`field_squares`.
    rois, shape
        As of :func:`estimate_field`.

    Returns
    -------
    BackgroundField or None
        None where no node has squares enough.
    """
    # Not of a volume without a field, as there are: SciPy takes 30 MB of a driver.
    from scipy.ndimage import distance_transform_edt, maximum_filter

    nodes, counts = _nodes(shape, rois), squares.voxels >= FEWEST
    step = np.array(shape) / nodes
    start = (step - 1) / 2  # a voxel's coordinate is that of its centre
    found = _medians(squares, counts, (squares.centre - start) / step, nodes)
    known = np.isfinite(found[0])
    if not known.any():
        return None
    if not known.all():
        nearest = distance_transform_edt(
            ~known, return_distances=False, return_indices=True
        )
        found = found[:, *nearest]
    level, sd = found
    sd = np.maximum(sd, STEEPEST * maximum_filter(sd, size=3, mode="nearest"))
    sd = np.hypot(sd, BEND * _bends(level))
    return BackgroundField(
        nodes,
        _vector(start),
        _vector(step),
        tuple(level.ravel().tolist()),
        tuple(sd.ravel().tolist()),
        squares=int(counts.sum()),
        left_out=int((~counts).sum()),
        filled=int((~known).sum()),
    )


def _bends(level: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the largest second difference of each node along an axis; 0 at the ends."""
    most = np.zeros_like(level)
    for axis in range(level.ndim):
        if level.shape[axis] > 2:
            inner = np.moveaxis(most, axis, 0)[1:-1]
            bend = np.abs(np.diff(np.moveaxis(level, axis, 0), 2, axis=0))
            np.maximum(inner, bend, out=inner)
    return most


def _nodes(shape: Zyx, rois: Sequence[Roi]) -> Zyx:
    """Return how many nodes each axis has: no more than there are samples along it."""
    places = (
        len({roi.start[axis] for roi in rois}) * (1 if axis == 0 else 2)
        for axis in range(3)
    )
    return to_zyx(
        max(1, min(NODES, n // SPACING, found))
        for n, found in zip(shape, places, strict=True)
    )


def _medians(
    squares: Squares,
    counts: npt.NDArray[np.bool_],
    place: npt.NDArray[np.float64],
    nodes: Zyx,
) -> npt.NDArray[np.float64]:
    """Return b and s of each node, shape (2, z, y, x); NaN where too little is known."""
    from scipy.spatial import cKDTree

    at = np.indices(nodes).reshape(3, -1).T.astype(float)
    near = min(_NEIGHBOURS, int(counts.sum()))
    tree = cKDTree(place[counts])
    voxels = squares.voxels[counts]
    values = (squares.level[counts], squares.sd[counts])
    found = np.empty((2, len(at)))
    for first in range(0, len(at), _NODES_AT_ONCE):
        some = slice(first, first + _NODES_AT_ONCE)
        far, which = tree.query(at[some], near, distance_upper_bound=REACH)
        far, which = far.reshape(-1, near), which.reshape(-1, near)
        there = np.isfinite(far)
        which = np.where(there, which, 0)
        weight = np.where(there, voxels[which], 0) * np.exp(
            -np.square(np.where(there, far, 0) / WIDTH)
        )
        for row, value in zip(found, values, strict=True):
            row[some] = _weighted_median(value[which], weight)
        found[:, some][:, there.sum(axis=1) < FEWEST_SQUARES] = np.nan
    return found.reshape(2, *nodes)


def _weighted_median(
    values: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return of each row the least value that half of the weight does not exceed."""
    order = np.argsort(values, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    first = np.argmax(sums >= sums[:, -1:] / 2, axis=1)
    row = np.arange(len(values))
    median: npt.NDArray[np.float64] = values[row, order[row, first]]
    return median


def affine_of_volume(
    normalization: Normalization,
    background: Background,
    field: BackgroundField | None,
    gain: float,
    clip: tuple[float, float] = (-CEILING, CEILING),
) -> Affine | AffineField:
    """Return the normalisation of a volume, as a run would have it.

    Parameters
    ----------
    normalization
        What was asked for.
    background
        Level and noise SD of the whole volume.
    field
        The same as a field; None where it has none.
    gain
        What the weights see as one SD of the background.
    clip
        Least and greatest value that the weights were trained on.
    """
    if field is not None and normalization.varies:
        return field.affine(gain, clip)
    return affine(normalization, background, gain, clip)


def field_to_plain(field: AffineField) -> dict[str, Any]:
    """Return a normalisation that varies as JSON values, its clip aside.

    A text of numbers for each row of nodes along x; reading gives the same numbers to
    the last bit.
    """
    return {
        "nodes": list(field.nodes),
        "start": list(field.start),
        "step": list(field.step),
        "offset": _rows(field.offset, field.nodes[2]),
        "scale": _rows(field.scale, field.nodes[2]),
    }


def field_from(data: dict[str, Any], clip: tuple[float, float]) -> AffineField:
    """Return a normalisation as it was before it was written as JSON values."""
    (z0, y0, x0), (dz, dy, dx) = data["start"], data["step"]
    offset, scale = (
        tuple(float(number) for row in data[name] for number in row.split())
        for name in ("offset", "scale")
    )
    nodes = to_zyx(data["nodes"])
    return AffineField(nodes, (z0, y0, x0), (dz, dy, dx), offset, scale, *clip)


def _rows(values: tuple[float, ...], length: int) -> list[str]:
    rows = np.reshape(values, (-1, length)).tolist()
    return [" ".join(repr(value) for value in row) for row in rows]


def _vector(values: npt.NDArray[Any]) -> Vector:
    z, y, x = values.tolist()
    return (z, y, x)
