"""Population of a brain or a part: neurons, passing axons, bundles, vessels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.synthetic.neurons.profiles import draw_snr, log_uniform, profile
from blockseg.synthetic.neurons.tracing import (
    AT_SOMA,
    AXON,
    DENDRITE,
    VESSEL,
    Branches,
    Points,
    Somata,
    Tracing,
)
from blockseg.synthetic.neurons.walks import Domain, Path, grow, unit_vector, walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.synthetic.params import SynthParams


@dataclass(frozen=True, slots=True)
class Numbers:
    """Ids that the neurites of a domain may take."""

    neurons_before: int = 0
    """Its first neuron has the id above this."""

    branches_before: int = 0
    """Its first branch has the id above this."""

    neurons: int | None = None
    """Number of neurons that it may have; None for any."""

    branches: int | None = None
    """Number of branches that it may have, vessels included; None for any."""


@dataclass(slots=True)
class _Population:
    """Neurites made so far."""

    params: SynthParams
    domain: Domain
    rng: np.random.Generator
    numbers: Numbers
    stretches: list[Points] = field(default_factory=list)
    branches: list[tuple[int, int, float]] = field(default_factory=list)
    somata: list[tuple[NDArray[np.float64], float, float, int]] = field(
        default_factory=list
    )
    points: int = 0
    neurons: int = 0

    def next_neuron(self) -> int:
        """Return the id of one more neuron."""
        self.neurons += 1
        return self.numbers.neurons_before + self.neurons

    def add(
        self, paths: list[Path], kind: int, neuron: int, snr: float, root: int = AT_SOMA
    ) -> None:
        """Add a tree of paths, rooted in ``root``, of contrast ``snr`` background SDs."""
        first: list[int] = []
        taper = 0.5 if kind == DENDRITE else 0.15
        for path in paths:
            n = len(path.points)
            thick = path.radius * (1 - taper * np.linspace(0, 1, n))
            radius, amplitude, own = profile(
                path.points, thick, kind, snr, self.params, self.rng
            )
            at = first[path.parent] + path.parent_point if path.parent >= 0 else root
            first.append(self.points)
            self.stretch(path.points, radius, amplitude, at)
            self.branches.append((neuron, kind, own))

    def stretch(
        self,
        points: NDArray[np.float32],
        radius: NDArray[np.float32],
        amplitude: NDArray[np.float32],
        root: int,
    ) -> None:
        """Add the points of one branch, the first of which springs from ``root``."""
        n = len(points)
        parent = np.arange(self.points - 1, self.points + n - 1)
        parent[0] = root
        branch = np.full(n, len(self.stretches), np.uint32)
        self.stretches.append(Points(points, radius, amplitude, branch, parent))
        self.points += n

    def place(self) -> NDArray[np.float64]:
        """Return a random place in the domain's home."""
        home = self.domain.home
        return self.rng.uniform(home.start, home.stop)

    def passing_axon(self) -> None:
        """Add an axon that runs through a random place, both ways."""
        shape, domain, rng = self.params.morphology, self.domain, self.rng
        neuron = self.next_neuron()
        snr = draw_snr(shape.snr, rng)
        start, direction = self.place(), unit_vector(rng)
        radius = log_uniform(*shape.axon_radius, rng)
        begin = self.points
        for way in (direction, -direction):
            length = domain.longest * rng.uniform(0.5, 1.0)
            tree = grow(start, way, length, radius, shape=shape, domain=domain, rng=rng)
            # Both ways of an axon are one: the second goes on where the first began.
            root = begin if self.points > begin else AT_SOMA
            self.add(tree, AXON, neuron, snr, root)

    def bundle(self, size: int) -> None:
        """Add axons that run side by side."""
        shape, rng = self.params.morphology, self.rng
        straight = replace(shape, wiggle=shape.wiggle / 3)
        start, direction = self.place(), unit_vector(rng)
        length = self.domain.longest
        ways = [
            walk(start, way, length, straight, rng) for way in (direction, -direction)
        ]
        for _ in range(size):
            neuron = self.next_neuron()
            snr = draw_snr(shape.snr, rng)
            radius = log_uniform(*shape.axon_radius, rng)
            offset = rng.normal(0, shape.bundle_spread, 3)
            begin = self.points
            for way in ways:
                wander = walk(np.zeros(3), np.zeros(3), length, shape, rng) / 3
                wander -= np.linspace(0, 1, len(wander))[:, None] * wander[-1]
                axon = (way + offset + wander).astype(np.float32)
                if self.domain.reach is not None:
                    # Not all of a bundle shall end at one place.
                    axon = axon[: int(len(axon) * rng.uniform(0.5, 1.0))]
                points = self.domain.inside(axon, start)
                if len(points) >= 4:
                    root = begin if self.points > begin else AT_SOMA
                    self.add([Path(points, radius, -1, 0)], AXON, neuron, snr, root)

    def neuron(self) -> None:
        """Add a soma with dendrites and an axon."""
        shape, clutter, rng = self.params.morphology, self.params.clutter, self.rng
        domain, neuron = self.domain, self.next_neuron()
        centre = self.place()
        radius = rng.uniform(*clutter.soma_radius)
        snr = draw_snr(shape.snr, rng)
        bright = log_uniform(*clutter.soma_snr, rng) * self.params.contrast_unit
        self.somata.append((centre, radius, max(bright, 2 * snr), neuron))
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
                domain=domain,
                rng=rng,
                order=2,
                origin=centre,
            )
            self.add(tree, DENDRITE, neuron, snr * rng.uniform(1.0, 2.5))
        way = unit_vector(rng)
        tree = grow(
            centre + way * radius * 0.9,
            way,
            domain.longest * rng.uniform(0.5, 1.0),
            log_uniform(*shape.axon_radius, rng),
            shape=shape,
            domain=domain,
            rng=rng,
            origin=centre,
        )
        self.add(tree, AXON, neuron, snr)

    def vessel(self) -> None:
        """Add a dark vessel."""
        shape, rng = self.params.morphology, self.rng
        smooth = replace(shape, wiggle=0.15)
        depth = self.params.background.level - self.params.noise.offset
        start, direction = self.place(), unit_vector(rng)
        radius = rng.uniform(1.5, 4.0)
        for way in (direction, -direction):
            points = self.domain.inside(
                walk(start, way, self.domain.longest, smooth, rng), start
            )
            if len(points) < 4:
                continue
            dark = -depth * rng.uniform(0.2, 0.7)
            self.stretch(
                points,
                np.full(len(points), radius, dtype=np.float32),
                np.full(len(points), dark, dtype=np.float32),
                AT_SOMA,
            )
            self.branches.append((0, VESSEL, 0.0))

    def tracing(self) -> Tracing:
        """Return everything as flat arrays."""
        most = self.numbers.branches
        rows = np.array(self.branches[:most], dtype=np.float64).reshape(-1, 3)
        bodies = np.array([(*c, r, a, n) for c, r, a, n in self.somata]).reshape(-1, 6)
        neuron = bodies[:, 5].astype(np.uint32)
        alone = self.domain.reach is None
        return Tracing(
            Points.joined(self.stretches[:most]),
            Branches(
                rows[:, 0].astype(np.uint32),
                rows[:, 1].astype(np.uint8),
                rows[:, 2].astype(np.float32),
                (self.numbers.branches_before + 1 + np.arange(len(rows))).astype(
                    np.uint32
                ),
            ),
            Somata(
                bodies[:, :3].astype(np.float32),
                bodies[:, 3].astype(np.float32),
                bodies[:, 4].astype(np.float32),
                neuron,
                np.arange(len(neuron)) if alone else neuron.astype(np.int64),
            ),
        )


def crossing(domain: Domain) -> float:
    """Return how much of a passing axon's trunk lies in the brain, in voxels.

    A straight line through a random place of a box is about 0.8 edges long; an axon
    of limited reach runs half to all of it both ways.
    """
    if domain.reach is not None:
        return 1.5 * domain.reach
    return float(0.8 * math.prod(domain.brain) ** (1 / 3))


def populate(
    domain: Domain,
    params: SynthParams,
    rng: np.random.Generator,
    numbers: Numbers | None = None,
) -> Tracing:
    """Draw all neurites that begin in a domain's home.

    Parameters
    ----------
    domain
        Where they begin and run.
    params
        Densities, shapes, contrasts.
    rng
        Randomness of this domain.
    numbers
        Ids that they take; from 1 and any number if not given.
    """
    numbers = numbers or Numbers()
    population = _Population(params, domain, rng, numbers)
    shape, millions = params.morphology, domain.home.size / 1e6
    neurons = rng.poisson(shape.neurons * millions)
    if numbers.neurons is not None:
        neurons = min(neurons, numbers.neurons)
    for _ in range(neurons):
        population.neuron()
    axons = int(rng.poisson(shape.axon_density * millions / crossing(domain)))
    if numbers.neurons is not None:
        axons = min(axons, numbers.neurons - neurons)
    bundled = round(axons * shape.bundled)
    for _ in range(axons - bundled):
        population.passing_axon()
    while bundled > 0:
        size = min(bundled, 1 + int(rng.poisson(shape.bundle_size - 1)))
        population.bundle(size)
        bundled -= size
    for _ in range(rng.poisson(params.clutter.vessels * millions)):
        population.vessel()
    return population.tracing()
