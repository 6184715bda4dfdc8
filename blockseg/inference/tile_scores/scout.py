"""Scout's score: how much a tile looks as if it held what the default weights find.

A tiny network (:mod:`blockseg.networks.scout`) looks at the image at half resolution and
answers a logit for each cell of 4×4×4 voxels. The score of a tile is the largest of its
cells', counted from a logit that hardly any neurite lies below, so that scores begin at 0
as those of :mod:`blockseg.inference.tile_scores.path_opening` do; an odds ratio, on a logarithmic
scale.

Windows have one shape, whatever a block is like, and scores are rounded to 1/16: a tile has
the same score in every block.
"""

from __future__ import annotations

from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.cubes import TILE, cube_box
from blockseg.core.errors import WeightsError
from blockseg.core.geometry import to_zyx
from blockseg.core.specs import ScoutSpec
from blockseg.inference.tile_scores.averaged_image import SEEN, STEPS, averaged_image
from blockseg.networks.scout import CELL, SCOUT_STRIDE, default_scout, load_scout

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.specs import Affine, AffineField
    from blockseg.networks.scout import ScoutWeights

_CELLS = 32  # of a window's output along each axis: maps stay in the cache
_AROUND = SEEN // 2  # averaged voxels that a window sees beyond its cells
_EDGE = _CELLS * CELL // 2 + 2 * _AROUND  # averaged voxels of a window along an axis
_FINE = 16  # scores are multiples of one in so many


def shipped_scout(gain: float) -> ScoutSpec:
    """Return the scout of this installation, on the fastest engine that is here.

    Parameters
    ----------
    gain
        What the run's normalisation makes of one SD of the background.

    Raises
    ------
    WeightsError
        If this installation has none.
    """
    from importlib.util import find_spec

    weights = load_scout(default_scout())
    engine = "torch" if find_spec("openvino") is None else "openvino"
    return ScoutSpec(weights.sha256, engine, gain)


class Scout:
    """A scout at work on one volume. Threads may share it.

    Parameters
    ----------
    spec
        Which.
    affine
        Normalisation of the run.
    volume_shape
        Voxels along (z, y, x).
    threads
        That work on a window.
    weights
        Its parameters; those that ship with blockseg if not given.

    Raises
    ------
    WeightsError
        If another scout is asked for than this blockseg has.
    MissingExtraError
        If its engine is not installed.
    """

    def __init__(
        self,
        spec: ScoutSpec,
        affine: Affine | AffineField,
        volume_shape: Zyx,
        threads: int = 1,
        weights: ScoutWeights | None = None,
    ) -> None:
        self._weights = weights or load_scout(default_scout())
        if spec.sha256 != self._weights.sha256:
            message = (
                f"this run looks for empty tiles with a network of SHA-256 "
                f"{spec.sha256[:12]}…, and this blockseg has another; go on with the "
                "version that began it, or start over with --overwrite"
            )
            raise WeightsError(message)
        self._affine, self._shape = affine, volume_shape
        self._scale = np.float32(1 / (STEPS * spec.gain))
        self._logits = _engine(spec.engine, self._weights, threads)
        self._window = np.zeros((_EDGE,) * 3, np.float32)
        self._lock = Lock()

    def score(
        self, raw: NDArray[Any], read: Roi, roi: Roi, edge: int = TILE
    ) -> NDArray[np.float32]:
        """Return the score of each tile that ``roi`` is made of.

        Parameters
        ----------
        raw
            Grey levels (z, y, x) of ``read``, in the source's dtype; NaN and infinities
            count as background.
        read
            At least ``roi`` and SEEN voxels around it, as far as the volume goes.
        roi
            Whole tiles, as far as the volume goes.
        edge
            Of a tile, in voxels; a multiple of 16.

        Returns
        -------
        float32 array, one value a tile (z, y, x); from 0
        """
        tiles = cube_box(roi, edge)
        image = averaged_image(raw, read, tiles, self._affine, self._shape, edge)
        each = edge // CELL
        z, y, x = (n * each for n in tiles.shape)
        cells = np.empty((z, y, x), np.float32)
        with self._lock:
            for start in product(*(range(0, n, _CELLS) for n in (z, y, x))):
                self._look(image, cells, to_zyx(start))
        for axis, count in enumerate(tiles.shape):
            split = (*cells.shape[:axis], count, each, *cells.shape[axis + 1 :])
            cells = cells.reshape(split).max(axis + 1)
        above = np.rint((cells - np.float32(self._weights.zero)) * np.float32(_FINE))
        return np.asarray(np.maximum(above, 0) / np.float32(_FINE))

    def _look(
        self, image: NDArray[np.int16], cells: NDArray[np.float32], start: Zyx
    ) -> None:
        """Compute the cells of one window; what lies beyond the image is background."""
        seen = image[tuple(slice(a * 2, a * 2 + _EDGE) for a in start)]
        window = self._window
        inner = tuple(slice(n) for n in seen.shape)
        if seen.shape != window.shape:
            window.fill(0)
        np.multiply(seen, self._scale, out=window[inner], casting="unsafe")
        there = cells[tuple(slice(a, a + _CELLS) for a in start)]
        there[...] = self._logits(window)[tuple(slice(n) for n in there.shape)]


def _engine(
    name: str, weights: ScoutWeights, threads: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    if name == "openvino":
        from blockseg.inference.backends.openvino.scout import openvino_scout

        return openvino_scout(weights, _EDGE, threads)
    return _torch_scout(weights)


def _torch_scout(
    weights: ScoutWeights,
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    import torch
    from torch.nn import functional

    layers = [tuple(map(torch.from_numpy, layer)) for layer in weights.layers]

    @torch.inference_mode()
    def logits(values: NDArray[np.float32]) -> NDArray[np.float32]:
        found = torch.from_numpy(values)[None, None]
        for number, (weight, bias) in enumerate(layers):
            stride = 1 if number else SCOUT_STRIDE
            found = functional.conv3d(
                functional.relu(found) if number else found, weight, bias, stride
            )
        out: NDArray[np.float32] = found[0, 0].numpy()
        return out

    return logits
