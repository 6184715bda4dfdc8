"""Populate a brain: neurons, passing axons, bundles, vessels, with their contrasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

from blockseg.training.synth.fields import stream
from blockseg.training.synth.tracing import (
    AXON,
    DENDRITE,
    VESSEL,
    Branches,
    Points,
    Somata,
    Tracing,
)
from blockseg.training.synth.walks import STEP, Path, grow, inside, unit_vector, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.training.synth.params import Optics, SnrBin, SynthParams

__all__ = ["draw_snr", "populate", "tube_peak"]


def draw_snr(bins: Sequence[SnrBin], rng: np.random.Generator) -> float:
    """Draw from a mixture of log-uniform distributions."""
    weights = np.array([weight for weight, _, _ in bins])
    _, low, high = bins[rng.choice(len(bins), p=weights / weights.sum())]
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw one number, uniform in its logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def tube_peak(
    radius: NDArray[np.float32], tangent: NDArray[np.float32], optics: Optics
) -> NDArray[np.float32]:
    """Return how bright a straight tube of brightness 1 is on its axis, 0 to 1.

    The point spread seen along the tangent ``u`` is a 2-D Gaussian of variance
    ``sqrt(det(S)·uᵀS⁻¹u)`` (geometric mean of its axes), of which a disc of radius
    ``r`` holds ``1 − exp(−r²/2σ²)``.

    Parameters
    ----------
    radius
        Of the tube, in voxels, shape (n,).
    tangent
        Unit vectors (z, y, x), shape (n, 3).
    optics
        Point spread.
    """
    variance = np.square(np.array(optics.sigma))
    across = np.sqrt(variance.prod() * (np.square(tangent) / variance).sum(axis=1))
    # Area of the raster's soft-edged disc, clip(r + 1/2 − d, 0, 1).
    area = np.where(radius >= 0.5, radius**2 + 1 / 12, (radius + 0.5) ** 3 / 3)
    return np.asarray(1 - np.exp(-area / (2 * across)), dtype=np.float32)


@dataclass(slots=True)
class _Population:
    """What was made so far."""

    params: SynthParams
    shape: Zyx
    rng: np.random.Generator
    position: list[NDArray[np.float32]] = field(default_factory=list)
    radius: list[NDArray[np.float32]] = field(default_factory=list)
    amplitude: list[NDArray[np.float32]] = field(default_factory=list)
    parent: list[NDArray[np.int64]] = field(default_factory=list)
    branches: list[tuple[int, int, float]] = field(default_factory=list)
    somata: list[tuple[NDArray[np.float64], float, float, int]] = field(
        default_factory=list
    )
    points: int = 0
    neurons: int = 0

    def add(self, paths: list[Path], kind: int, neuron: int, snr: float) -> None:
        """Add a tree of paths whose contrast is ``snr`` background SDs."""
        first: list[int] = []
        for path in paths:
            n = len(path.points)
            tangent = np.gradient(path.points, axis=0)
            tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
            radius, bright = self._profile(path, kind)
            # Branches of one neuron differ a little; its median stays.
            own = snr * math.exp(0.15 * self.rng.standard_normal())
            peak = float(np.median(tube_peak(radius, tangent, self.params.optics)))
            gain = own * self.params.contrast_unit / max(peak, 0.02)
            parent = np.arange(self.points - 1, self.points + n - 1)
            parent[0] = (
                -1 if path.parent < 0 else first[path.parent] + path.parent_point
            )
            first.append(self.points)
            self.position.append(path.points)
            self.radius.append(radius)
            self.amplitude.append((gain * bright).astype(np.float32))
            self.parent.append(parent)
            self.branches.append((neuron, kind, own))
            self.points += n

    def _profile(
        self, path: Path, kind: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return radius and relative brightness along a path, with boutons on axons."""
        shape = self.params.morphology
        n = len(path.points)
        keep = math.exp(-STEP / 25.0)
        shocks = self.rng.standard_normal(n) * math.sqrt(1 - keep**2)
        slow = lfilter([1.0], [1.0, -keep], shocks)
        bright = np.exp(shape.fading * slow)
        taper = 0.5 if kind == DENDRITE else 0.15
        radius = path.radius * (1 - taper * np.linspace(0, 1, n))
        if kind == AXON and shape.bead_spacing > 0:
            count = self.rng.poisson(n * STEP / shape.bead_spacing)
            along = np.arange(n) * STEP
            for at in self.rng.uniform(0, n * STEP, count):
                near = slice(max(0, int((at - 5) / STEP)), int((at + 5) / STEP) + 1)
                bump = np.exp(
                    -0.5 * np.square((along[near] - at) / self.rng.uniform(0.7, 1.5))
                )
                strength = self.rng.exponential(1.0)
                bright[near] *= 1 + (shape.bead_gain - 1) * strength * bump
                radius[near] *= 1 + 0.2 * min(strength, 2.0) * bump
        bright /= np.median(bright)
        return np.maximum(radius, 0.35).astype(np.float32), bright.astype(np.float32)

    def place(self) -> NDArray[np.float64]:
        """Return a random place in the brain."""
        return self.rng.uniform(0, self.shape)

    def passing_axon(self) -> None:
        """Add an axon that runs through a random place, both ways."""
        shape, rng = self.params.morphology, self.rng
        self.neurons += 1
        snr = draw_snr(shape.snr, rng)
        start, direction = self.place(), unit_vector(rng)
        radius = log_uniform(*shape.axon_radius, rng)
        for way in (direction, -direction):
            length = 2.0 * max(self.shape) * rng.uniform(0.5, 1.0)
            self.add(
                grow(
                    start, way, length, radius, shape=shape, brain=self.shape, rng=rng
                ),
                AXON,
                self.neurons,
                snr,
            )

    def bundle(self, size: int) -> None:
        """Add axons that run side by side."""
        shape, rng = self.params.morphology, self.rng
        straight = replace(shape, wiggle=shape.wiggle / 3)
        start, direction = self.place(), unit_vector(rng)
        length = 2.0 * max(self.shape)
        ways = [
            walk(start, way, length, straight, rng) for way in (direction, -direction)
        ]
        for _ in range(size):
            self.neurons += 1
            snr = draw_snr(shape.snr, rng)
            radius = log_uniform(*shape.axon_radius, rng)
            offset = rng.normal(0, shape.bundle_spread, 3)
            for way in ways:
                wander = walk(np.zeros(3), np.zeros(3), length, shape, rng) / 3
                wander -= np.linspace(0, 1, len(wander))[:, None] * wander[-1]
                points = inside((way + offset + wander).astype(np.float32), self.shape)
                if len(points) >= 4:
                    self.add([Path(points, radius, -1, 0)], AXON, self.neurons, snr)

    def neuron(self) -> None:
        """Add a soma with dendrites and an axon."""
        shape, clutter, rng = self.params.morphology, self.params.clutter, self.rng
        self.neurons += 1
        centre = self.place()
        radius = rng.uniform(*clutter.soma_radius)
        snr = draw_snr(shape.snr, rng)
        bright = log_uniform(*clutter.soma_snr, rng) * self.params.contrast_unit
        self.somata.append((centre, radius, max(bright, 2 * snr), self.neurons))
        for way in [unit_vector(rng) for _ in range(1 + rng.poisson(shape.dendrites))]:
            tree = grow(
                centre + way * radius * 0.9,
                way,
                shape.dendrite_length * rng.uniform(0.4, 1.6),
                rng.uniform(*shape.dendrite_radius),
                shape=replace(
                    shape,
                    branch_every=shape.dendrite_length * 0.6,
                    collateral_length=shape.dendrite_length * 0.6,
                ),
                brain=self.shape,
                rng=rng,
                order=2,
            )
            self.add(tree, DENDRITE, self.neurons, snr * rng.uniform(1.0, 2.5))
        way = unit_vector(rng)
        tree = grow(
            centre + way * radius * 0.9,
            way,
            2.0 * max(self.shape) * rng.uniform(0.5, 1.0),
            log_uniform(*shape.axon_radius, rng),
            shape=shape,
            brain=self.shape,
            rng=rng,
        )
        self.add(tree, AXON, self.neurons, snr)

    def vessel(self) -> None:
        """Add a dark vessel."""
        shape, rng = self.params.morphology, self.rng
        smooth = replace(shape, wiggle=0.15)
        depth = self.params.background.level - self.params.noise.offset
        start, direction = self.place(), unit_vector(rng)
        radius = rng.uniform(1.5, 4.0)
        for way in (direction, -direction):
            points = inside(
                walk(start, way, 2.0 * max(self.shape), smooth, rng), self.shape
            )
            if len(points) < 4:
                continue
            n = len(points)
            self.position.append(points)
            self.radius.append(np.full(n, radius, dtype=np.float32))
            dark = -depth * rng.uniform(0.2, 0.7)
            self.amplitude.append(np.full(n, dark, dtype=np.float32))
            parent = np.arange(self.points - 1, self.points + n - 1)
            parent[0] = -1
            self.parent.append(parent)
            self.branches.append((0, VESSEL, 0.0))
            self.points += n

    def tracing(self) -> Tracing:
        """Return everything as flat arrays."""
        lengths = [len(path) for path in self.position]
        rows = np.array(self.branches, dtype=np.float64).reshape(-1, 3)
        bodies = np.array([(*c, r, a, n) for c, r, a, n in self.somata]).reshape(-1, 6)
        return Tracing(
            Points(
                _joined(self.position, (0, 3), np.float32),
                _joined(self.radius, (0,), np.float32),
                _joined(self.amplitude, (0,), np.float32),
                np.repeat(np.arange(len(lengths)), lengths).astype(np.uint32),
                _joined(self.parent, (0,), np.int64),
            ),
            Branches(
                rows[:, 0].astype(np.uint32),
                rows[:, 1].astype(np.uint8),
                rows[:, 2].astype(np.float32),
            ),
            Somata(
                bodies[:, :3].astype(np.float32),
                bodies[:, 3].astype(np.float32),
                bodies[:, 4].astype(np.float32),
                bodies[:, 5].astype(np.uint32),
            ),
        )


def _joined(parts: list[NDArray], empty: tuple[int, ...], dtype: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate([np.zeros(empty, dtype), *parts]).astype(dtype, copy=False)


def populate(shape: Zyx, params: SynthParams, seed: int) -> Tracing:
    """Draw all neurons of a brain.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params
        Densities, shapes, contrasts.
    seed
        Of the brain.
    """
    rng = stream(seed, 11)
    population = _Population(params, shape, rng)
    shape_params, millions = params.morphology, math.prod(shape) / 1e6
    for _ in range(rng.poisson(shape_params.neurons * millions)):
        population.neuron()
    # A straight line through a random place of a box is about 0.8 edges long.
    trunk = 0.8 * math.prod(shape) ** (1 / 3)
    axons = int(rng.poisson(shape_params.axon_density * millions / trunk))
    bundled = round(axons * shape_params.bundled)
    for _ in range(axons - bundled):
        population.passing_axon()
    while bundled > 0:
        size = min(bundled, 1 + int(rng.poisson(shape_params.bundle_size - 1)))
        population.bundle(size)
        bundled -= size
    for _ in range(rng.poisson(params.clutter.vessels * millions)):
        population.vessel()
    return population.tracing()
