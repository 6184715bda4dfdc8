"""Cover a block with windows of one shape and run each through a backend.

A window is a core and the network's reach around it. Cores start at multiples of its
alignment in the *volume's* coordinates: only there does a network that pools give the
same answer as in one pass over the whole volume. That pass is padded at the far ends to
multiples of the alignment with zeros of the normalised image.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, ceil_to
from blockseg.model.backend import AxisMasks, window_shape
from blockseg.model.cover import cover, tiles
from blockseg.model.normalization import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine, AffineField
    from blockseg.model.backend import Backend

__all__ = ["Engine", "Segmented", "Wanted", "nonfinite_voxels"]


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Which voxels of a write ROI are to be inferred; all others are 0."""

    voxels: npt.NDArray[np.bool_]
    """``(z, y, x)``, shape of the write ROI."""

    step: int | None = None
    """Windows start at multiples of this many voxels of the volume, wherever something
    is wanted; None keeps them where they are when everything is."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """What an engine made of a block."""

    probability: npt.NDArray[np.uint8]
    """``(z, y, x)`` of the write ROI: 255 p, rounded half to even."""

    computed: int
    """Voxels inferred, windows that overhang the block included."""

    nonfinite: int
    """NaN and infinite input voxels inside the write ROI, taken as background."""


class Engine:
    """One backend, one normalisation, any number of blocks.

    Keeps one window in memory and fills it again and again. Several threads may call
    it; one block is computed at a time.

    Parameters
    ----------
    backend
        Belongs to the engine from now on, which closes it.
    affine
        Normalisation of the run: one for all voxels, or one that varies with their
        place in the volume.
    """

    def __init__(self, backend: Backend, affine: Affine | AffineField) -> None:
        self.backend = backend
        self.affine = affine
        self._lock = Lock()
        self._tile: npt.NDArray[Any] = np.empty(
            window_shape(backend.core, backend.field.reach), backend.dtype
        )

    def probability(
        self,
        raw: npt.NDArray[Any],
        read_roi: Roi,
        write_roi: Roi,
        volume_shape: Zyx,
        wanted: Wanted | None = None,
    ) -> npt.NDArray[Any]:
        """Return the foreground probability ``(z, y, x)`` of ``write_roi``.

        Parameters
        ----------
        raw
            Grey levels ``(z, y, x)`` of ``read_roi``, in the source's dtype.
        read_roi
            Exact where it contains ``write_roi`` grown outward to multiples of
            the network's alignment and by its reach, as far as the volume goes; what
            a smaller one lacks counts as background.
        write_roi
            Region to compute, inside ``read_roi``.
        volume_shape
            Voxels along (z, y, x).
        wanted
            What of it; 0 elsewhere. Windows without a wanted voxel are not inferred,
            and all others are as they would be without this.

        Raises
        ------
        GeometryError
            If the regions do not lie inside each other, or ``raw`` has another shape.
        """
        out = np.zeros(write_roi.shape, self.backend.dtype)
        cores = self._cores(write_roi, wanted)
        with self._lock:
            for region, part in self._parts(
                raw, read_roi, write_roi, volume_shape, cores
            ):
                out[region.slices(write_roi.start)] = part
        if wanted is not None:
            out[~wanted.voxels] = 0
        return out

    def segment(
        self,
        raw: npt.NDArray[Any],
        read_roi: Roi,
        write_roi: Roi,
        volume_shape: Zyx,
        wanted: Wanted | None = None,
    ) -> Segmented:
        """Return ``write_roi`` as bytes; parameters as in :meth:`probability`."""
        out = np.zeros(write_roi.shape, np.uint8)
        windows = 0
        cores = self._cores(write_roi, wanted)
        with self._lock:
            for region, part in self._parts(
                raw, read_roi, write_roi, volume_shape, cores
            ):
                # rint rounds half to even, and p = 0.5 to 128.
                scaled = part * part.dtype.type(255)
                out[region.slices(write_roi.start)] = np.rint(scaled, out=scaled)
                windows += 1
        if wanted is not None:
            out[~wanted.voxels] = 0
        nonfinite = nonfinite_voxels(raw[write_roi.slices(read_roi.start)])
        computed = windows * Roi.whole(self.backend.core).size
        return Segmented(out, computed, nonfinite)

    def close(self) -> None:
        """Close the backend, once no block is being computed."""
        with self._lock:
            self.backend.close()

    def _cores(self, write_roi: Roi, wanted: Wanted | None = None) -> Iterator[Roi]:
        """Yield the cores of the windows that make up ``write_roi``."""
        every = tiles(
            write_roi.aligned(self.backend.field.alignment), self.backend.core
        )
        if wanted is None:
            return every
        if wanted.step is not None:
            return cover(wanted.voxels, write_roi, self.backend.core, wanted.step)
        inside = ((core, core.intersection(write_roi)) for core in every)
        return (
            core
            for core, part in inside
            if wanted.voxels[part.slices(write_roi.start)].any()
        )

    def _parts(
        self,
        raw: npt.NDArray[Any],
        read_roi: Roi,
        write_roi: Roi,
        volume_shape: Zyx,
        cores: Iterable[Roi],
    ) -> Iterator[tuple[Roi, npt.NDArray[Any]]]:
        """Yield what each window adds to ``write_roi``, and where."""
        _check(raw, read_roi, write_roi, volume_shape)
        step, reach = self.backend.field.alignment, self.backend.field.reach
        padded = Roi.whole(ceil_to(n, step) for n in volume_shape)
        for core in cores:
            window = core.grown((reach, reach, reach))
            self._fill(raw, read_roi, window)
            inside = None
            if not padded.contains(window):
                inside = self._inside(window, padded)
            part = self.backend.infer(self._tile, inside)
            region = core.intersection(write_roi)
            yield region, part[region.slices(core.start)]

    def _fill(self, raw: npt.NDArray[Any], read_roi: Roi, window: Roi) -> None:
        """Normalise what is known of a window; the rest is background."""
        known = window.intersection(read_roi)
        if known != window:
            self._tile.fill(0)
        normalize(
            raw[known.slices(read_roi.start)],
            self.affine,
            self._tile[known.slices(window.start)],
            known.start,
        )

    def _inside(self, window: Roi, volume: Roi) -> AxisMasks:
        common = window.intersection(volume)
        z, y, x = (
            _indicator(a - w, b - w, n, self.backend.dtype)
            for a, b, w, n in zip(
                common.start, common.stop, window.start, window.shape, strict=True
            )
        )
        return z, y, x


def nonfinite_voxels(raw: npt.NDArray[Any]) -> int:
    """Count NaN and infinite voxels."""
    if raw.dtype.kind != "f":
        return 0
    return raw.size - int(np.count_nonzero(np.isfinite(raw)))


def _indicator(
    start: int, stop: int, length: int, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    vector = np.zeros(length, dtype)
    vector[start:stop] = 1
    return vector


def _check(
    raw: npt.NDArray[Any], read_roi: Roi, write_roi: Roi, volume_shape: Zyx
) -> None:
    if raw.shape != read_roi.shape:
        message = f"voxels of shape {raw.shape} cannot be those of ROI {read_roi}"
        raise GeometryError(message)
    if not (
        read_roi.contains(write_roi) and Roi.whole(volume_shape).contains(read_roi)
    ):
        message = (
            f"ROI {write_roi} must lie inside what was read ({read_roi}), and that "
            f"inside the volume of {volume_shape} voxels"
        )
        raise GeometryError(message)
