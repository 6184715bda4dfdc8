"""Level and noise of the background as smooth functions over the volume.

The sample is cut into squares, so small that light hardly varies within one. Each is
judged by itself, by the rules of
:func:`~blockseg.normalization.background.estimate_background`. A node takes the mean of all
squares that show tissue, weighted by their voxels and by how near they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import to_zyx
from blockseg.core.specs import AffineField
from blockseg.normalization.affine import CEILING
from blockseg.normalization.background import estimate_background, saturation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector

NODES = 8
"""Most nodes along an axis: the sample has 16 planes, and in each 8 by 8 patches."""

SPACING = 64
"""Least distance of nodes in voxels: the edge of a patch of the sample."""

SQUARE = 32
"""Edge of a square in voxels: a slope of light across it would count as noise."""

DECAY = 64.0
"""A square one node farther off counts this many times less."""

FEWEST = 128
"""Counted voxels below which a square has no say."""

QUIETEST = 0.5
"""Least noise of tissue, as a share of that of the brightest quarter of the squares:
shot noise falls by half where three quarters of the light are gone."""

LOUDEST = 3.0
"""Greatest noise of tissue by the same measure; more is the tissue's edge."""


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
    """Sampled squares that count as tissue."""

    left_out: int
    """Sampled squares with too few voxels that count, or not the noise of tissue."""

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

    Nodes are the centres of equal parts of each axis, at most ``NODES`` and at least
    ``SPACING`` voxels each. Squares without the noise of tissue have no say: the
    outside of a brain, where the camera's noise alone is left, and its edges.
    Nodes there take the values of the nearest tissue, for else the tissue between
    such a node and the next would be measured by what lies outside.

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
        None where there would be one node only, or no square counts: one b and s
        for the whole volume say all that is known.
    """
    nodes = tuple(min(NODES, max(1, n // SPACING)) for n in shape)
    if max(nodes) == 1:
        return None
    limit = saturation(patches, dtype)
    squares = [
        square
        for patch, roi in zip(patches, rois, strict=True)
        for square in _squares(patch, roi)
    ]
    found = [estimate_background([square], dtype, limit) for square, _ in squares]
    voxels = np.array([one.voxels for one in found], float)
    level = np.array([one.level for one in found])
    sd = np.array([one.sd for one in found])
    counts = _tissue(voxels, level, sd)
    if not counts.any():
        return None
    step = np.array(shape) / nodes
    start = (step - 1) / 2  # a voxel's coordinate is that of its centre
    place = ((np.array([centre for _, centre in squares]) - start) / step)[counts]
    distance = np.sqrt(
        sum(
            (at.reshape(-1, 1) - along) ** 2
            for at, along in zip(np.indices(nodes), place.T, strict=True)
        )
    )
    weight = voxels[counts] * DECAY**-distance
    weight /= weight.sum(axis=1, keepdims=True)
    z, y, x = nodes
    return BackgroundField(
        (z, y, x),
        _vector(start),
        _vector(step),
        tuple((weight * level[counts]).sum(axis=1).tolist()),
        tuple((weight * sd[counts]).sum(axis=1).tolist()),
        squares=int(counts.sum()),
        left_out=int((~counts).sum()),
    )


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


def _squares(
    patch: npt.NDArray[Any], roi: Roi
) -> Iterator[tuple[npt.NDArray[Any], Vector]]:
    """Yield the squares of a patch and their centres; a remainder joins the last."""
    z, y, x = roi.start
    edges = [[*range(0, max(n - SQUARE + 1, 1), SQUARE), n] for n in patch.shape]
    for a, b in pairwise(edges[0]):
        for c, d in pairwise(edges[1]):
            centre = (float(z), y + (a + b - 1) / 2, x + (c + d - 1) / 2)
            yield patch[a:b, c:d], centre


def _tissue(
    voxels: npt.NDArray[Any], level: npt.NDArray[Any], sd: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """Mark the squares with the noise of tissue, which is brighter than the outside."""
    enough = voxels >= FEWEST
    if not enough.any():
        return enough
    bright = enough & (level >= np.quantile(level[enough], 0.75))
    reference = np.median(sd[bright])
    usual = (sd >= QUIETEST * reference) & (sd <= LOUDEST * reference)
    return np.asarray(enough & usual)


def _vector(values: npt.NDArray[Any]) -> Vector:
    z, y, x = values.tolist()
    return (z, y, x)
