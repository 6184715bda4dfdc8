"""A synthetic brain of any size, any region of which can be had at any time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.synthetic.camera import Camera
from blockseg.synthetic.lattice import TILE, tile_roi
from blockseg.synthetic.neurons.sources import neurites as procedural
from blockseg.synthetic.neurons.swc import neuron_swc
from blockseg.synthetic.neurons.tracing import Tracing
from blockseg.synthetic.presets import preset
from blockseg.synthetic.recent import Recent
from blockseg.synthetic.scene import Scene, SceneMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blockseg.synthetic.neurons.sources import Neurites
    from blockseg.synthetic.params import SynthParams

_CACHED_TILES = 8


@dataclass(frozen=True, slots=True)
class SynthBlock:
    """One block of a synthetic brain with its truth."""

    roi: Roi
    """Its place."""

    image: NDArray[np.uint16]
    """Grey levels, shape (z, y, x)."""

    labels: NDArray[np.uint32]
    """Neuron of each voxel, from 1; 0 for none."""

    mask: NDArray[np.uint8]
    """1 on neurites; 0 elsewhere, somata included."""

    branches: NDArray[np.uint32]
    """Branch of each voxel, from 1; 0 for none."""

    snr: NDArray[np.float32]
    """SNR of that branch; 0 for none."""

    expected: NDArray[np.float32]
    """Grey levels without noise."""

    variance: NDArray[np.float32]
    """Variance of the voxel noise, in squared grey levels."""

    tissue: NDArray[np.bool_]
    """Whether the voxel lies inside the tissue."""


class SyntheticBrain:
    """A brain as a function of its parameters, its seed and the place.

    Centrelines are held for brains of up to 2^28 voxels, and drawn site by site where
    they are needed in larger ones. Everything else is computed tile by tile on a
    fixed lattice, so that any two regions agree to the bit where they overlap.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params
        Name of a preset, or parameters.
    seed
        Any integer from 0.
    neurites
        What there is to draw; procedural neurites if not given.

    Raises
    ------
    ConfigError
        If there is no such preset.
    GeometryError
        If the shape has no voxels, or more neurites than there are ids.
    """

    def __init__(
        self,
        shape: Zyx,
        params: SynthParams | str = "fmost",
        seed: int = 0,
        *,
        neurites: Neurites | None = None,
    ) -> None:
        if min(shape) < 1 or len(shape) != 3:
            message = f"a brain needs three positive edge lengths, not {shape}"
            raise GeometryError(message)
        self.shape = to_zyx(shape)
        self.params = preset(params) if isinstance(params, str) else params
        self.seed = seed
        self.neurites: Neurites = neurites or procedural(self.shape, self.params, seed)
        self._make_scene = SceneMaker(self.shape, self.params, self.neurites, seed)
        self._camera = Camera(self.shape, self.params, seed)
        self._scenes: Recent[Zyx, Scene] = Recent(_CACHED_TILES)
        self._tracing: Tracing | None = None

    @property
    def tracing(self) -> Tracing:
        """All neurites of the brain at once; grows with the brain, unlike all else."""
        if self._tracing is None:
            owned = (self.neurites.owned(part.index) for part in self.neurites.units)
            self._tracing = Tracing.joined(list(chain.from_iterable(owned)))
        return self._tracing

    def image(self, roi: Roi) -> NDArray[np.uint16]:
        """Return the image of a region.

        Parameters
        ----------
        roi
            Inside the brain.

        Returns
        -------
        Grey levels, shape (z, y, x).

        Raises
        ------
        GeometryError
            If the region does not lie inside the brain.
        """
        return self._gathered(
            roi,
            np.uint16,
            lambda tile, here: self._camera.expose(tile, self._scene(tile)).image[here],
        )

    def branches(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the id of each voxel's branch, its ``number`` in a tracing; 0 for none.

        In a brain that holds its neurites the id is the row of ``tracing.branches``
        plus 1.
        """
        return self._gathered(
            roi, np.uint32, lambda tile, here: self._scene(tile).branch[here]
        )

    def somata(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the neuron of each voxel inside a soma; 0 elsewhere."""
        return self._gathered(
            roi, np.uint32, lambda tile, here: self._scene(tile).soma[here]
        )

    def labels(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the neuron of each voxel, somata included; 0 for none."""
        return self._gathered(
            roi, np.uint32, lambda tile, here: _labels(self._scene(tile), here)
        )

    def snr(self, roi: Roi) -> NDArray[np.float32]:
        """Return the SNR of each voxel's branch; 0 where there is none."""
        return self._gathered(
            roi, np.float32, lambda tile, here: _snr(self._scene(tile), here)
        )

    def mask(self, roi: Roi) -> NDArray[np.uint8]:
        """Return 1 on neurites, 0 elsewhere; somata do not count as neurites."""
        return (self.branches(roi) > 0).astype(np.uint8)

    def inside(self, position: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Say which points lie inside the volume and the tissue.

        Parameters
        ----------
        position
            (n, 3), (z, y, x) in voxels; a voxel's centre has whole numbers.
        """
        nearest = np.rint(position)
        inside: NDArray[np.bool_] = np.all(
            (nearest >= 0) & (nearest < self.shape), axis=1
        )
        inside[inside] = self._make_scene.in_tissue(nearest[inside])
        return inside

    def swc(self) -> dict[int, str]:
        """Return every neuron's centreline as SWC text, in voxels, by its label.

        Whole, with what lies outside of the volume; see :func:`neuron_swc`.
        """
        tracing = self.tracing
        trees = ((n, neuron_swc(tracing, n)) for n in tracing.neurons())
        return {n: tree.text for n, tree in trees if tree is not None}

    def block(self, roi: Roi) -> SynthBlock:
        """Return image and truth of a region together: half the work of one by one.

        Raises
        ------
        GeometryError
            If the region does not lie inside the brain.
        """
        block = SynthBlock(
            roi,
            image=np.empty(roi.shape, np.uint16),
            labels=np.empty(roi.shape, np.uint32),
            mask=np.empty(roi.shape, np.uint8),
            branches=np.empty(roi.shape, np.uint32),
            snr=np.empty(roi.shape, np.float32),
            expected=np.empty(roi.shape, np.float32),
            variance=np.empty(roi.shape, np.float32),
            tissue=np.ones(roi.shape, np.bool_),
        )
        for tile, box in self._tiles(roi):
            scene = self._scene(tile)
            there, here = box.slices(roi.start), box.slices(tile_roi(tile).start)
            exposure = self._camera.expose(tile, scene)
            block.image[there] = exposure.image[here]
            block.expected[there] = exposure.expected[here]
            block.variance[there] = exposure.variance[here]
            block.labels[there] = _labels(scene, here)
            block.mask[there] = scene.branch[here] > 0
            block.branches[there] = scene.branch[here]
            block.snr[there] = _snr(scene, here)
            if scene.tissue is not None:
                block.tissue[there] = scene.tissue[here] >= 0
        return block

    def blocks(self, block_shape: Zyx = (128, 128, 128)) -> Iterator[SynthBlock]:
        """Yield the whole brain, block after block, in C order.

        Parameters
        ----------
        block_shape
            Voxels along (z, y, x); multiples of 64 waste nothing.
        """
        for block in BlockGrid(self.shape, block_shape):
            yield self.block(block.write_roi)

    def _gathered(
        self,
        roi: Roi,
        dtype: type[np.generic],
        part: Callable[[Zyx, tuple[slice, ...]], NDArray[Any]],
    ) -> NDArray[Any]:
        """Return a region of what each tile gives a part of."""
        out = np.empty(roi.shape, dtype)
        for tile, box in self._tiles(roi):
            out[box.slices(roi.start)] = part(tile, box.slices(tile_roi(tile).start))
        return out

    def _tiles(self, roi: Roi) -> Iterator[tuple[Zyx, Roi]]:
        """Yield the tiles that touch a region, and what they share with it."""
        if not Roi.whole(self.shape).contains(roi):
            message = f"ROI {roi} does not lie inside the brain of {self.shape} voxels"
            raise GeometryError(message)
        if roi.size == 0:
            return
        ranges = [
            range(a // TILE, -(-b // TILE))
            for a, b in zip(roi.start, roi.stop, strict=True)
        ]
        for z, y, x in product(*ranges):
            yield (z, y, x), tile_roi((z, y, x)).intersection(roi)

    def _scene(self, tile: Zyx) -> Scene:
        return self._scenes.get(tile, self._make_scene)


def _labels(scene: Scene, here: tuple[slice, ...]) -> NDArray[np.uint32]:
    neuron = _looked_up(scene, here, scene.branches.neuron)
    soma = scene.soma[here]
    return np.where(soma > 0, soma, neuron)


def _snr(scene: Scene, here: tuple[slice, ...]) -> NDArray[np.float32]:
    return _looked_up(scene, here, scene.branches.snr)


def _looked_up(
    scene: Scene, here: tuple[slice, ...], column: NDArray[Any]
) -> NDArray[Any]:
    """Return what a column of the table of branches says of each voxel; else 0."""
    branch = scene.branch[here]
    out = np.zeros(branch.shape, column.dtype)
    there = branch > 0
    out[there] = column[scene.branches.rows(branch[there])]
    return out
