"""A synthetic brain of any size, any region of which can be had at any time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.training.synth.camera import Camera
from blockseg.training.synth.lattice import TILE, tile_roi
from blockseg.training.synth.neurons import populate
from blockseg.training.synth.presets import preset
from blockseg.training.synth.scene import Scene, SceneMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.training.synth.params import SynthParams
    from blockseg.training.synth.tracing import Tracing

__all__ = ["SynthBlock", "SyntheticBrain"]

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


class SyntheticBrain:
    """A brain as a function of its parameters, its seed and the place.

    Only the centrelines are held. Everything else is computed tile by tile on a
    fixed lattice, so that any two regions agree to the bit where they overlap.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params
        Name of a preset, or parameters.
    seed
        Any integer from 0.

    Raises
    ------
    ConfigError
        If there is no such preset.
    GeometryError
        If the shape has no voxels.
    """

    def __init__(
        self, shape: Zyx, params: SynthParams | str = "fmost", seed: int = 0
    ) -> None:
        if min(shape) < 1 or len(shape) != 3:
            message = f"a brain needs three positive edge lengths, not {shape}"
            raise GeometryError(message)
        self.shape = to_zyx(shape)
        self.params = preset(params) if isinstance(params, str) else params
        self.seed = seed
        self.tracing: Tracing = populate(self.shape, self.params, seed)
        self._make_scene = SceneMaker(self.shape, self.params, self.tracing, seed)
        self._camera = Camera(self.shape, self.params, seed)
        self._scenes: OrderedDict[Zyx, Scene] = OrderedDict()

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
        out = np.empty(roi.shape, np.uint16)
        for tile, box in self._tiles(roi):
            out[box.slices(roi.start)] = self._camera.expose(tile, self._scene(tile))[
                box.slices(tile_roi(tile).start)
            ]
        return out

    def branches(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the row of ``tracing.branches`` plus 1 of each voxel; 0 for none.

        The truth by SNR: ``tracing.branches.snr[branches - 1]`` where above 0.
        """
        out = np.empty(roi.shape, np.uint32)
        for tile, box in self._tiles(roi):
            part = self._scene(tile).branch
            out[box.slices(roi.start)] = part[box.slices(tile_roi(tile).start)]
        return out

    def somata(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the neuron of each voxel inside a soma; 0 elsewhere."""
        out = np.empty(roi.shape, np.uint32)
        for tile, box in self._tiles(roi):
            part = self._scene(tile).soma
            out[box.slices(roi.start)] = part[box.slices(tile_roi(tile).start)]
        return out

    def labels(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the neuron of each voxel, somata included; 0 for none."""
        return self._labels(self.branches(roi), self.somata(roi))

    def mask(self, roi: Roi) -> NDArray[np.uint8]:
        """Return 1 on neurites, 0 elsewhere; somata do not count as neurites."""
        return (self.branches(roi) > 0).astype(np.uint8)

    def swc(self) -> dict[int, str]:
        """Return every neuron's centreline as SWC text, in voxels, by its label."""
        neurons = np.union1d(self.tracing.branches.neuron, self.tracing.somata.neuron)
        return {int(n): self.tracing.swc(int(n)) for n in neurons if n > 0}

    def block(self, roi: Roi) -> SynthBlock:
        """Return image and truth of a region together: half the work of one by one.

        Raises
        ------
        GeometryError
            If the region does not lie inside the brain.
        """
        image = np.empty(roi.shape, np.uint16)
        labels = np.empty(roi.shape, np.uint32)
        mask = np.empty(roi.shape, np.uint8)
        for tile, box in self._tiles(roi):
            scene = self._scene(tile)
            there, here = box.slices(roi.start), box.slices(tile_roi(tile).start)
            image[there] = self._camera.expose(tile, scene)[here]
            branch = scene.branch[here]
            labels[there] = self._labels(branch, scene.soma[here])
            mask[there] = branch > 0
        return SynthBlock(roi, image, labels, mask)

    def blocks(self, block_shape: Zyx = (128, 128, 128)) -> Iterator[SynthBlock]:
        """Yield the whole brain, block after block, in C order.

        Parameters
        ----------
        block_shape
            Voxels along (z, y, x); multiples of 64 waste nothing.
        """
        for block in BlockGrid(self.shape, block_shape):
            yield self.block(block.write_roi)

    def _labels(
        self, branch: NDArray[np.uint32], soma: NDArray[np.uint32]
    ) -> NDArray[np.uint32]:
        own = self.tracing.branches.neuron
        neuron = np.concatenate([np.zeros(1, np.uint32), own])
        return np.where(soma > 0, soma, neuron[branch])

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
        if tile in self._scenes:
            self._scenes.move_to_end(tile)
            return self._scenes[tile]
        scene = self._make_scene(tile)
        self._scenes[tile] = scene
        while len(self._scenes) > _CACHED_TILES:
            self._scenes.popitem(last=False)
        return scene
