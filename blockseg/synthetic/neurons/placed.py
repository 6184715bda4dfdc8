"""Real neurons, placed and turned at random, in a brain of any size.

The middles of neurons lie in the sites of a lattice as wide as the largest neuron
reaches, so that a region meets those of 27 sites. Only where they lie is held; of these
neurons only the stretches that come near the region are smoothed and drawn.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.synthetic.fields import stream
from blockseg.synthetic.neurons.placement import (
    Found,
    PlacedNeuron,
    SiteOfNeurons,
    balls,
    touch,
)
from blockseg.synthetic.neurons.profiles import THINNEST, draw_snr, log_uniform, profile
from blockseg.synthetic.neurons.reconstruction import smooth_path
from blockseg.synthetic.neurons.sources import SITE, ample, neurites
from blockseg.synthetic.neurons.tracing import (
    AT_SOMA,
    AXON,
    DENDRITE,
    FREE,
    Branches,
    Points,
    Somata,
    Tracing,
)
from blockseg.synthetic.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blockseg.core.geometry import Zyx
    from blockseg.synthetic.neurons.reconstruction import Reconstruction
    from blockseg.synthetic.params import SynthParams

_PAGE = 512  # edge length of what is looked through at once, in voxels
_HALO = 64  # around it: of tiles, their points and their spread
_CACHED_PAGES = 16
_CACHED_SITES = 64
_CACHED_POINTS = 2_000_000  # of stretches that were drawn last: about 65 MB
_THICKEST = 6.0  # voxels
_VESSEL = np.uint32(0xFFFFFFFF)  # all of them: nobody asks which


class Placed:
    """Neurites of reconstructions; several threads may ask at once.

    There is as much path per volume as the preset has of passing axons. Vessels are
    those of the procedural brain.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params, seed
        Of the brain.
    reconstructions
        One or more.
    voxel_size
        Along (z, y, x), in µm.

    Raises
    ------
    GeometryError
        If the brain has more neurites than ids.
    """

    def __init__(
        self,
        shape: Zyx,
        params: SynthParams,
        seed: int,
        reconstructions: Sequence[Reconstruction],
        voxel_size: tuple[float, float, float],
    ) -> None:
        self._arguments = (shape, params, seed, tuple(reconstructions), voxel_size)
        self._shape, self._params, self._seed = shape, params, seed
        self._forms = tuple(reconstructions)
        self._size = np.array(voxel_size)
        finest = min(voxel_size)
        self._balls = [balls(form, finest) for form in self._forms]
        glow = params.clutter.glow_reach
        self._reach = np.array(
            [
                (np.linalg.norm(c, axis=1) / finest + r).max() + glow
                for c, r in self._balls
            ]
        )
        edge = max(SITE, math.ceil(self._reach.max()) + _HALO)
        # One site more on each side: neurons outside reach in.
        counts = [-(-n // edge) + 2 for n in shape]
        self.units = BlockGrid(to_zyx(n * edge for n in counts), (edge, edge, edge))
        mean = np.mean([form.length for form in self._forms])
        length = float(mean) / float(np.prod(self._size)) ** (1 / 3)
        self._expected = params.morphology.axon_density * 1e-6 * edge**3 / length
        self._neurons = ample(self._expected)
        self._branches = max(len(form.stretches) for form in self._forms)
        if len(self.units) * self._neurons * self._branches >= int(_VESSEL):
            message = (
                f"a brain of {shape} voxels has more branches than there are 32-bit "
                "ids; make a smaller one, or place larger neurons"
            )
            raise GeometryError(message)
        bare = replace(params.morphology, neurons=0.0, axon_density=0.0)
        self._vessels = neurites(shape, replace(params, morphology=bare), seed)
        self._sites: Recent[Zyx, SiteOfNeurons] = Recent(_CACHED_SITES)
        self._pages: Recent[Zyx, list[Found]] = Recent(_CACHED_PAGES)
        self._drawn: Recent[tuple[int, int], Tracing] = Recent(
            _CACHED_POINTS, lambda drawn: len(drawn.points.radius)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (Placed, self._arguments)

    def near(self, roi: Roi, reach: float) -> Tracing:
        """Return the points within ``reach`` voxels of a region, and its somata."""
        low, high = np.array(roi.start) - reach, np.array(roi.stop) + reach
        glow = self._params.clutter.glow_reach
        parts = []
        for found in self._around(roi, reach):
            neuron = found.neuron
            for number in found.stretches[touch(found.centre, found.radius, low, high)]:
                drawn = self._stretch(neuron, int(number))
                place = drawn.points.position
                kept = np.all((place >= low) & (place < high), axis=1)
                if kept.any():
                    parts.append(replace(drawn, points=drawn.points.chosen(kept)))
            soma = neuron.soma()
            if touch(
                soma.position, glow, np.array(roi.start), np.array(roi.stop)
            ).any():
                parts.append(Tracing(Points.none(), Branches.none(), soma))
        dark = self._vessels.near(roi, reach)
        number = np.full(len(dark.branches.number), _VESSEL)
        parts.append(replace(dark, branches=replace(dark.branches, number=number)))
        return Tracing.joined(parts)

    def owned(self, index: Zyx) -> Iterator[Tracing]:
        """Yield the neurons that begin in one site; of each what comes near the brain."""
        for found in self._find(index, Roi.whole(self._shape)):
            neuron = found.neuron
            parts: list[Tracing] = []
            last: dict[int, int] = {}
            roots: dict[int, int] = {}
            points = 0
            for i in found.stretches:
                number = int(i)
                drawn = self._stretch(neuron, number)
                n = len(drawn.points.radius)
                chain = replace(drawn.points, parent=np.arange(n) - 1)
                parts.append(replace(drawn, points=chain))
                stretch = neuron.form.stretches[number]
                begin = AT_SOMA if stretch.at_soma else FREE
                roots[points] = last.get(stretch.parent, begin)
                points += n
                last[number] = points - 1
            parts.append(Tracing(Points.none(), Branches.none(), neuron.soma()))
            whole = Tracing.joined(parts)
            for point, parent in roots.items():
                whole.points.parent[point] = parent
            yield whole

    def _around(self, roi: Roi, reach: float) -> list[Found]:
        """Return what comes near a region; what a tile needs is kept for others."""
        middle = [(a + b) // 2 for a, b in zip(roi.start, roi.stop, strict=True)]
        page = to_zyx(m // _PAGE for m in middle)
        box = Roi(
            to_zyx(i * _PAGE for i in page), to_zyx((i + 1) * _PAGE for i in page)
        )
        box = box.grown((_HALO, _HALO, _HALO))
        far = math.ceil(reach)
        needed = roi.grown((far, far, far))
        if not box.contains(needed):
            return self._search(needed)
        return self._pages.get(page, lambda _: self._search(box))

    def _search(self, roi: Roi) -> list[Found]:
        """Return all neurons that may come near a region, by ascending label."""
        edge = self.units.block_shape[0]
        far = math.ceil(self._reach.max())
        ranges = [
            range(max(0, (a - far) // edge + 1), min(n, (b + far) // edge + 2))
            for a, b, n in zip(roi.start, roi.stop, self.units.counts, strict=True)
        ]
        return [f for index in product(*ranges) for f in self._find(to_zyx(index), roi)]

    def _find(self, index: Zyx, roi: Roi) -> Iterator[Found]:
        """Yield the neurons of one site that may come near a region."""
        site = self._sites.get(index, self._settled)
        low, high = np.array(roi.start), np.array(roi.stop)
        near = touch(site.place, self._reach[site.form], low, high)
        glow = self._params.clutter.glow_reach
        for row in np.flatnonzero(near):
            form = int(site.form[row])
            middle, radius = self._balls[form]
            centre = middle @ site.turn[row].T + site.place[row]
            close = touch(centre, radius, low, high)
            soma, seen = self._forms[form].soma, bool(close.any())
            if soma is not None and not seen:
                place = soma @ site.turn[row].T + site.place[row]
                seen = bool(touch(place[None], glow, low, high).any())
            if seen:
                yield Found(
                    self._neuron(site, int(row)),
                    np.flatnonzero(close),
                    centre[close],
                    radius[close],
                )

    def _settled(self, index: Zyx) -> SiteOfNeurons:
        """Return where the neurons of a site lie."""
        unit, edge = self.units.id_of(index), self.units.block_shape[0]
        rng = stream(self._seed, 16, *index)
        n = min(int(rng.poisson(self._expected)), self._neurons)
        # Q, with the signs of R, is uniform over turns and mirrorings.
        turn, upper = np.linalg.qr(rng.standard_normal((n, 3, 3)))
        turn *= np.sign(np.diagonal(upper, axis1=1, axis2=2))[:, None, :]
        return SiteOfNeurons(
            unit * self._neurons + 1,
            rng.integers(len(self._forms), size=n),
            turn / self._size[None, :, None],
            (np.array(index) - 1) * edge + rng.uniform(0, edge, (n, 3)),
        )

    def _neuron(self, site: SiteOfNeurons, row: int) -> PlacedNeuron:
        """Return one neuron of a site with its looks, a function of its label."""
        shape, clutter = self._params.morphology, self._params.clutter
        number = site.first + row
        rng = stream(self._seed, 18, number)
        snr = draw_snr(shape.snr, rng)
        light = log_uniform(*clutter.soma_snr, rng) * self._params.contrast_unit
        return PlacedNeuron(
            number=number,
            form=self._forms[site.form[row]],
            turn=site.turn[row],
            place=site.place[row],
            snr=snr,
            dendrite_snr=snr * rng.uniform(1.0, 2.5),
            axon_radius=log_uniform(*shape.axon_radius, rng),
            dendrite_radius=rng.uniform(*shape.dendrite_radius),
            soma_radius=rng.uniform(*clutter.soma_radius),
            soma_light=max(light, 2 * snr),
        )

    def _stretch(self, neuron: PlacedNeuron, number: int) -> Tracing:
        """Return a smooth stretch with its radius and brightness; no point has a parent."""
        key = (neuron.number, number)
        return self._drawn.get(key, lambda _: self._draw(neuron, number))

    def _draw(self, neuron: PlacedNeuron, number: int) -> Tracing:
        form = neuron.form
        stretch = form.stretches[number]
        nodes = neuron.voxels(form.position[stretch.node])
        before, after = (
            None if row < 0 else neuron.voxels(form.position[row])
            for row in (stretch.before, stretch.after)
        )
        thick = np.clip(form.radius[stretch.node] / self._size[2], THINNEST, _THICKEST)
        if not form.has_radii:
            dendrite = stretch.kind == DENDRITE
            drawn = neuron.dendrite_radius if dendrite else neuron.axon_radius
            thick = np.full(len(nodes), drawn)
        points, radius = smooth_path(nodes, thick, before, after)
        if stretch.parent >= 0:
            # The branch point itself belongs to the stretch before.
            points, radius = points[1:], radius[1:]
        snr = neuron.snr if stretch.kind == AXON else neuron.dendrite_snr
        rng = stream(self._seed, 17, neuron.number, number)
        thin, light, own = profile(points, radius, stretch.kind, snr, self._params, rng)
        branch = (neuron.number - 1) * self._branches + number + 1
        n = len(points)
        return Tracing(
            Points(points, thin, light, np.zeros(n, np.uint32), np.full(n, FREE)),
            Branches(
                np.array([neuron.number], np.uint32),
                np.array([stretch.kind], np.uint8),
                np.array([own], np.float32),
                np.array([branch], np.uint32),
            ),
            Somata.none(),
        )
