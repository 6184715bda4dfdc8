"""Random paths and trees of neurites: geometry only, in voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.synthetic.params import Morphology

STEP = 0.6
"""Distance of two points of a path, in voxels."""

MARGIN = 14
"""Paths end this many voxels outside the brain, so that its faces look cut, not closed."""


@dataclass(frozen=True, slots=True)
class Path:
    """One unbranched stretch of a neurite."""

    points: NDArray[np.float32]
    """Centreline, shape (n, 3), (z, y, x) in voxels, ``STEP`` apart."""

    radius: float
    """At its start, in voxels."""

    parent: int
    """Number of the path it springs from, in its tree; -1 for a root."""

    parent_point: int
    """Index of the point of the parent that it springs from."""


def unit_vector(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random direction, uniform on the sphere."""
    vector = rng.standard_normal(3)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def deflected(
    direction: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a direction 30° to 80° off ``direction``, as a branch takes."""
    side = np.cross(direction, unit_vector(rng))
    side /= max(float(np.linalg.norm(side)), 1e-9)
    angle = np.deg2rad(rng.uniform(30, 80))
    return np.asarray(np.cos(angle) * direction + np.sin(angle) * side)


def _wander(
    n: int, persistence: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return ``n`` steps of a stationary AR(1) process of SD 1, from 0, shape (n, 3)."""
    keep = np.exp(-STEP / persistence)
    shocks = rng.standard_normal((n, 3)) * np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], shocks, axis=0))


def walk(
    start: NDArray[np.float64],
    direction: NDArray[np.float64],
    length: float,
    shape: Morphology,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return a persistent random walk.

    The heading is the first direction plus a slow and a fast Ornstein-Uhlenbeck
    process, so that a path meanders and turns sharply, and yet crosses a volume.

    Parameters
    ----------
    start, direction
        Place (z, y, x) in voxels and unit vector.
    length
        Path length, in voxels.
    shape
        Says how much it wanders.
    rng
        Its randomness.

    Returns
    -------
    Points, shape (n, 3).
    """
    n = max(2, round(length / STEP))
    heading = (
        direction
        + shape.meander * _wander(n, 70.0, rng)
        + shape.wiggle * _wander(n, 7.0, rng)
    )
    heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-9)
    heading[:, 0] *= shape.flatness
    return np.asarray(start + np.cumsum(heading, axis=0) * STEP, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Domain:
    """Where neurites may run, and where they begin."""

    brain: Zyx
    """Voxels of the brain; paths end shortly outside."""

    home: Roi
    """Where neurites of this domain begin."""

    reach: float | None = None
    """Largest distance from where a neurite began, in voxels; None for no limit."""

    @property
    def longest(self) -> float:
        """Length of the longest stretch, in voxels."""
        return 2.0 * max(self.brain) if self.reach is None else self.reach

    def inside(
        self, points: NDArray[np.float32], origin: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the points up to where a path leaves the domain.

        Parameters
        ----------
        points
            Path, shape (n, 3), (z, y, x) in voxels.
        origin
            Where its neurite began.
        """
        high = np.array(self.brain) + MARGIN
        out = np.any((points < -MARGIN) | (points >= high), axis=1)
        if self.reach is not None:
            away = np.square(points - origin).sum(axis=1)
            out |= away > self.reach**2
        return points[: int(np.argmax(out))] if out.any() else points


def grow(
    start: NDArray[np.float64],
    direction: NDArray[np.float64],
    length: float,
    radius: float,
    *,
    shape: Morphology,
    domain: Domain,
    rng: np.random.Generator,
    order: int = 3,
    origin: NDArray[np.float64] | None = None,
) -> list[Path]:
    """Grow a branching neurite from one point.

    Parameters
    ----------
    start, direction
        Root (z, y, x) in voxels and unit vector.
    length, radius
        Of the first stretch, in voxels.
    shape
        Branching and wandering.
    domain
        Where it ends at the latest.
    rng
        Its randomness.
    order
        How often branches branch again.
    origin
        Where the neuron began, from which its reach counts; ``start`` if not given.

    Returns
    -------
    Paths, parents before children.
    """
    begin = start if origin is None else origin
    paths: list[Path] = []
    todo = [(start, direction, length, radius, -1, 0, order)]
    while todo:
        root, heading, reach, r, parent, parent_point, left = todo.pop(0)
        points = domain.inside(walk(root, heading, reach, shape, rng), begin)
        if len(points) < 4:
            continue
        number = len(paths)
        paths.append(Path(points, r, parent, parent_point))
        if left == 0:
            continue
        for at in rng.integers(
            2, len(points) - 1, rng.poisson(len(points) * STEP / shape.branch_every)
        ):
            tangent = (points[at + 1] - points[at - 1]).astype(np.float64)
            tangent /= max(float(np.linalg.norm(tangent)), 1e-9)
            todo.append(
                (
                    points[at].astype(np.float64),
                    deflected(tangent, rng),
                    shape.collateral_length * rng.uniform(0.3, 1.7),
                    max(0.35, r * rng.uniform(0.6, 1.0)),
                    number,
                    int(at),
                    left - 1,
                )
            )
    return paths
