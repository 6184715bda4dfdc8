"""Bright bodies of a known range of sizes in a coarse image: where cell bodies may be.

What is thinner than a body is taken away first, by an opening: neurites and puncta, however
bright. Candidates are then the maxima over place and scale of differences of Gaussians, which
approximate the scale-normalised Laplacian (Lindeberg 1998, "Feature detection with automatic
scale selection"; Lowe 2004, "Distinctive image features from scale-invariant keypoints").
Each is measured in the image itself: how bright its inside is, how dark its surroundings,
how round it is by the curvatures there.

All that is said of a body depends on voxels within :attr:`BlobScales.halo` of it alone: blocks
that are read with so much around them find the same, to the last bit, as the whole volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Vector

_STEP = 2 ** (1 / 3)
"""Ratio of one radius to the next."""

_TRUNCATED = 3.0  # SDs
_THIN = 0.75
"""Radius of the ball that fits into all that is looked at, over the least radius."""

_CORE = 0.6
"""Share of the radius that counts as inside, whatever a body's shape."""

_SHELL = (1.5, 2.2)
"""Radii between which the surroundings lie."""

_FILLED = 0.2
"""Quantile of the inside that must be bright as well."""

_SURROUNDED = 0.8
"""Quantile of the surroundings that must be dark."""

BLOB = np.dtype(
    [
        ("place", "<f8", 3),  # (z, y, x), in voxels of the whole image
        ("response", "<f8"),  # grey levels; of an ideal ball its contrast
        ("radius", "<f8"),  # where brightness has fallen to half, in µm
        ("scale", "<f8"),  # radius of the ball that fits best, in µm
        ("brightness", "<f8"),  # median of the inside, in grey levels
        ("contrast", "<f8"),  # above the median of the surroundings, in grey levels
        ("filled", "<f8"),  # contrast of a dark part of the inside, over the contrast
        ("around", "<f8"),  # contrast of what is thick and bright in the surroundings
        ("roundness", "<f8"),  # least over greatest curvature: 1 ball, 0 line or sheet
    ]
)
"""Row of a body."""


@dataclass(frozen=True, slots=True)
class BlobScales:
    """Sizes that are looked for, and the grid of the image."""

    spacing: Vector
    """Edge lengths of a voxel along (z, y, x), in µm."""

    low: float
    """Least radius, in µm."""

    high: float
    """Greatest radius, in µm."""

    @property
    def radii(self) -> tuple[float, ...]:
        """Radii that are looked for, and one more at each end that nothing may fit best."""
        count = math.ceil(math.log(self.high / self.low) / math.log(_STEP) - 1e-9) + 1
        return tuple(self.low * _STEP**k for k in range(-1, count + 1))

    @property
    def sigmas(self) -> tuple[float, ...]:
        """SDs of the Gaussians, in µm; their differences respond most to the radii.

        A ball of radius R responds most to the Laplacian of a Gaussian of SD R/√3.
        """
        ends = [r / math.sqrt(3 * _STEP) for r in self.radii]
        return (*ends, ends[-1] * _STEP)

    @property
    def halo(self) -> Zyx:
        """Voxels around a block that what is found in it depends on."""
        far = 2 * _THIN * self.low + max(
            _TRUNCATED * self.sigmas[-1] + 2 * max(self.spacing),
            _SHELL[1] * self.radii[-1] + max(self.spacing),
        )
        return to_zyx(math.ceil(far / size) + 1 for size in self.spacing)


def find_blobs(
    image: NDArray[np.generic], scales: BlobScales, read: Roi, write: Roi, least: float
) -> NDArray[np.void]:
    """Return the bodies whose brightest voxel lies in a block.

    Parameters
    ----------
    image
        Grey levels, axes (z, y, x).
    scales
        Sizes that are looked for.
    read
        Voxels of the whole image that ``image`` holds: the block with
        :attr:`BlobScales.halo` around it, as far as the whole reaches.
    write
        The block.
    least
        Response below which nothing is looked at, in grey levels.

    Returns
    -------
    NDArray[np.void]
        Rows of :data:`BLOB`, by the number of their voxel.
    """
    grey = np.asarray(image, np.float32)
    inner = write.slices(read.start)
    found = [np.zeros(0, BLOB)]
    thick = _opened(grey, scales)
    finer = _blurred(thick, scales.sigmas[0], scales.spacing)
    steps: list[_Step] = []
    for number, sigma in enumerate(scales.sigmas[1:]):
        coarser = _blurred(thick, sigma, scales.spacing)
        steps = [*steps[-2:], _Step.of(finer, coarser)]
        finer = coarser
        if len(steps) < 3:
            continue
        below, here, above = steps
        top = here.difference[inner] == here.highest[inner]
        top &= here.difference[inner] > below.highest[inner]
        top &= here.difference[inner] >= above.highest[inner]
        top &= here.difference[inner] >= least * _PEAK
        places = np.argwhere(top) + np.subtract(write.start, read.start)
        for z, y, x in places.tolist():
            row = _measured(
                grey, thick, steps, (z, y, x), read.start, number - 1, scales
            )
            found.append(np.array([row], BLOB))
    rows = np.concatenate(found)
    return rows[np.lexsort(rows["place"].T[::-1])]


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One scale: a difference of Gaussians, its maxima over 3×3×3 voxels, the finer one."""

    difference: NDArray[np.float32]
    highest: NDArray[np.float32]
    blurred: NDArray[np.float32]

    @classmethod
    def of(cls, finer: NDArray[np.float32], coarser: NDArray[np.float32]) -> _Step:
        from scipy.ndimage import maximum_filter

        difference = finer - coarser
        return cls(difference, maximum_filter(difference, 3, mode="nearest"), finer)


def _mass(radius: float) -> float:
    """Return the share of a Gaussian in 3-D within so many SDs."""
    return math.erf(radius / math.sqrt(2)) - radius * math.sqrt(2 / math.pi) * math.exp(
        -(radius**2) / 2
    )


_PEAK = _mass(math.sqrt(3 * _STEP)) - _mass(math.sqrt(3 / _STEP))
"""Difference of Gaussians in the middle of the ball that fits best, over its contrast."""


def _opened(grey: NDArray[np.float32], scales: BlobScales) -> NDArray[np.float32]:
    """Return the image without what is bright and thinner than a ball: neurites, puncta."""
    from scipy.ndimage import maximum_filter, minimum_filter

    reach = [int(_THIN * scales.low / size) for size in scales.spacing]
    z, y, x = (
        (np.arange(-n, n + 1) * size) ** 2
        for n, size in zip(reach, scales.spacing, strict=True)
    )
    ball = z[:, None, None] + y[:, None] + x <= (_THIN * scales.low) ** 2
    least = minimum_filter(grey, footprint=ball, mode="nearest")
    opened: NDArray[np.float32] = maximum_filter(least, footprint=ball, mode="nearest")
    return opened


def _blurred(
    image: NDArray[np.float32], sigma: float, spacing: Vector
) -> NDArray[np.float32]:
    from scipy.ndimage import correlate1d

    for axis, size in enumerate(spacing):
        reach = max(1, int(_TRUNCATED * sigma / size + 0.5))
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * size / sigma) ** 2)
        image = correlate1d(image, weights / weights.sum(), axis, mode="nearest")
    return image


def _measured(
    grey: NDArray[np.float32],
    thick: NDArray[np.float32],
    steps: list[_Step],
    place: Zyx,
    origin: Zyx,
    number: int,
    scales: BlobScales,
) -> tuple[object, ...]:
    """Return the row of a maximum."""
    size = np.array(scales.spacing)
    below, here, above = (float(step.difference[place]) for step in steps)
    scale = scales.radii[number] * _STEP ** _vertex(below, here, above)
    near = _neighbourhood(steps[1].difference, place)
    middle = _vertices(near)
    roundness = _roundness(_neighbourhood(steps[1].blurred, place), size)
    reach = np.ceil(_SHELL[1] * scale / size).astype(int) + 1
    low = np.maximum(np.subtract(place, reach), 0)
    high = np.minimum(np.add(place, reach) + 1, grey.shape)
    box = tuple(map(slice, low, high))
    # From the voxel, not from the block: rounding shall not depend on that.
    z, y, x = (
        ((np.arange(a - p, b - p) - m) * s) ** 2
        for a, b, p, m, s in zip(low, high, place, middle, size, strict=True)
    )
    away = np.sqrt(z[:, None, None] + y[:, None] + x)
    values = grey[box].astype(np.float64)
    shell = (away >= _SHELL[0] * scale) & (away <= _SHELL[1] * scale)
    if not shell.any():  # the whole image is smaller than that
        shell = away == away.max()
    level = float(np.median(values[shell]))
    around = thick[box][shell].astype(np.float64)
    least = 0.75 * float(size.max())  # some voxel lies so near
    inside = values[away <= max(_CORE * scale, least)]
    half = max(float(inside.mean()) - level, 0.0) / 2
    radius = _radius_at(half, values - level, away, float(size.min()))
    radius = float(np.clip(radius or scale, 0.5 * scale, 1.8 * scale))
    inside = values[away <= max(_CORE * radius, least)]
    bright = float(np.median(inside))
    contrast = max(bright - level, 1e-6)
    return (
        tuple(np.add(place, origin) + middle),
        here / _PEAK,
        radius,
        scale,
        bright,
        contrast,
        (float(np.quantile(inside, _FILLED)) - level) / contrast,
        float(np.quantile(around, _SURROUNDED) - np.median(around)) / contrast,
        roundness,
    )


def _neighbourhood(image: NDArray[np.float32], place: Zyx) -> NDArray[np.float64]:
    """Return the 3×3×3 voxels around one, the outermost repeated beyond the end."""
    index = [
        np.clip(np.arange(p - 1, p + 2), 0, n - 1)
        for p, n in zip(place, image.shape, strict=True)
    ]
    return image[np.ix_(*index)].astype(np.float64)


def _vertex(before: float, here: float, after: float) -> float:
    """Return where the parabola through three values has its top, half a step off at most."""
    bend = before - 2 * here + after
    if bend >= 0:
        return 0.0
    return min(max(0.5 * (before - after) / bend, -0.5), 0.5)


def _vertices(near: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = (
        _vertex(*line)
        for line in (
            near[:, 1, 1].tolist(),
            near[1, :, 1].tolist(),
            near[1, 1].tolist(),
        )
    )
    return z, y, x


def _roundness(near: NDArray[np.float64], size: NDArray[np.float64]) -> float:
    """Return the least of the three curvatures over the greatest; 0 where one bends up."""
    first = [np.gradient(near, axis=axis) for axis in range(3)]
    hessian = np.empty((3, 3))
    for a in range(3):
        along = near[tuple(slice(None) if k == a else 1 for k in range(3))]
        hessian[a, a] = (along[0] - 2 * along[1] + along[2]) / size[a] ** 2
        for b in range(a):
            across = first[a][tuple(slice(None) if k == b else 1 for k in range(3))]
            mixed = (across[2] - across[0]) / 2
            hessian[a, b] = hessian[b, a] = mixed / (size[a] * size[b])
    least, _, greatest = np.sort(-np.linalg.eigvalsh(hessian))
    return float(max(least, 0.0) / greatest) if greatest > 0 else 0.0


def _radius_at(
    half: float,
    above: NDArray[np.float64],
    away: NDArray[np.float64],
    width: float,
) -> float:
    """Return the distance from the centre at which the mean falls to a value; 0 for none."""
    shell = np.floor(away / width + 0.5).astype(np.int64).ravel()
    count = np.bincount(shell)
    there = count > 0
    mean = np.bincount(shell, above.ravel())[there] / count[there]
    middle = np.bincount(shell, away.ravel())[there] / count[there]
    under = np.flatnonzero(mean < half)
    if not len(under) or under[0] == 0:
        return 0.0
    k = int(under[0])
    share = (mean[k - 1] - half) / (mean[k - 1] - mean[k])
    return float(middle[k - 1] + share * (middle[k] - middle[k - 1]))
