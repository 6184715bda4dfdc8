"""Engine that covers a block with windows of one shape and infers each.

A window is a core and the network's reach around it. Cores start at multiples of its
alignment in the *volume's* coordinates: only there does a network that pools give the
same answer as in one pass over the whole volume. That pass is padded at the far ends to
multiples of the alignment with zeros of the normalised image.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blockseg.core.blocks import note_advance
from blockseg.core.errors import WeightsError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.inference.backends.protocol import SlabBackend, window_shape
from blockseg.inference.block_input import nonfinite_voxels
from blockseg.inference.window_layout import windows
from blockseg.normalization.affine import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine, AffineField
    from blockseg.inference.backends.protocol import Backend
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.window_layout import Window

_SLAB = 2**18  # voxels that are turned into bytes at once


@dataclass(frozen=True, slots=True)
class Segmented:
    """Result of an engine for a block."""

    probability: npt.NDArray[np.uint8]
    """``(z, y, x)`` of the write ROI: 255 p, rounded half to even."""

    computed: int
    """Voxels inferred, windows that overhang the block included."""

    nonfinite: int
    """NaN and infinite input voxels inside the write ROI, taken as background."""

    note: str = ""
    """Departure from the plan in computing it; empty if there was none."""


class Segmenter(Protocol):
    """Engine of any kind: makes bytes of blocks. Threads may share it."""

    @property
    def depth(self) -> int:
        """Blocks that it takes at the same time; more would only wait."""
        ...

    def segment(self, block: BlockInput) -> Segmented:
        """Return the write ROI of a block as bytes."""
        ...

    def close(self) -> None:
        """Release the device, once no block is being computed."""
        ...


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

    depth = 1

    def __init__(self, backend: Backend, affine: Affine | AffineField) -> None:
        self.backend = backend
        self.affine = affine
        self._lock = Lock()
        shape = window_shape(backend.core, backend.field.reach)
        self._window: npt.NDArray[Any] = np.empty(
            (0, 0, 0) if isinstance(backend, SlabBackend) else shape, backend.dtype
        )

    def probability(self, block: BlockInput) -> npt.NDArray[Any]:
        """Return the foreground probability ``(z, y, x)`` of a block's write ROI.

        Raises
        ------
        WeightsError
            If what the network answers is no number.
        """
        out = np.zeros(block.write_roi.shape, self.backend.dtype)
        with self._lock:
            for region, part in self._parts(block, self._laid(block)):
                out[region.slices(block.write_roi.start)] = part
        return block.masked(out)

    def segment(self, block: BlockInput) -> Segmented:
        """Return the write ROI of a block as bytes; errors of :meth:`probability`."""
        write_roi = block.write_roi
        out = np.zeros(write_roi.shape, np.uint8)
        laid = self._laid(block)
        with self._lock:
            for region, part in self._parts(block, laid):
                _to_bytes(part, out[region.slices(write_roi.start)])
        inner = block.voxels[write_roi.slices(block.read_roi.start)]
        computed = len(laid) * Roi.whole(self.backend.core).size
        return Segmented(block.masked(out), computed, nonfinite_voxels(inner))

    def close(self) -> None:
        """Close the backend, once no block is being computed."""
        with self._lock:
            self.backend.close()

    def _laid(self, block: BlockInput) -> list[Window]:
        """Return the windows of a block.

        Those at the volume's edge run in another graph, and to change it costs time.
        """
        backend = self.backend
        laid = windows(block, backend.field, backend.core, backend.dtype)
        return sorted(laid, key=lambda one: one.inside is not None)

    def _parts(
        self, block: BlockInput, laid: list[Window]
    ) -> Iterator[tuple[Roi, npt.NDArray[Any]]]:
        """Yield what each window adds to the write ROI, and where."""
        inferred = 0
        for window in laid:
            for start, whole in self._inferred(block, window):
                stop = to_zyx(a + n for a, n in zip(start, whole.shape, strict=True))
                region = Roi(start, stop).intersection(block.write_roi)
                part = whole[region.slices(start)]
                if not part.size:  # a slab of a window that overhangs the block
                    continue
                if np.isnan(part.max()):  # NaN if any of them is
                    raise _no_number(int(np.count_nonzero(np.isnan(part))), region)
                yield region, part
                inferred += part.size
                note_advance(inferred / block.write_roi.size)

    def _inferred(
        self, block: BlockInput, window: Window
    ) -> Iterator[tuple[Zyx, npt.NDArray[Any]]]:
        """Yield parts of a window's core, each with its first voxel in the volume."""
        backend, start = self.backend, window.core.start
        if not isinstance(backend, SlabBackend):
            self._fill(block, window.whole, self._window)
            yield start, backend.infer(self._window, window.inside)
            return
        whole = window.whole
        for slab in backend.slabs(window.inside):
            z = whole.start[0] + slab.start
            planes = Roi((z, *whole.start[1:]), (z + len(slab.tile), *whole.stop[1:]))
            self._fill(block, planes, slab.tile)
            slab.compute()
            if slab.result.size:
                first = zip(start, slab.result_start, strict=True)
                yield to_zyx(a + b for a, b in first), slab.result

    def _fill(self, block: BlockInput, box: Roi, to: npt.NDArray[Any]) -> None:
        """Normalise what is known of a box; the rest is background."""
        known = box.intersection(block.read_roi)
        inner = known.slices(box.start)
        _clear_around(to, inner)
        voxels = block.voxels[known.slices(block.read_roi.start)]
        normalize(voxels, self.affine, to[inner], known.start)


def _no_number(count: int, region: Roi) -> WeightsError:
    return WeightsError(
        f"the network answers NaN for {count} of {region.size} voxels at {region}: its "
        "weights are damaged, or too large to compute with; choose others with --weights"
    )


def _clear_around(window: npt.NDArray[Any], inner: tuple[slice, ...]) -> None:
    """Set to 0 what is outside a box; everything inside it is written."""
    for axis, part in enumerate(inner):
        window[(*inner[:axis], slice(0, part.start))] = 0
        window[(*inner[:axis], slice(part.stop, None))] = 0


def _to_bytes(part: npt.NDArray[Any], out: npt.NDArray[np.uint8]) -> None:
    # A few planes at a time, so that what is between stays in the cache.
    step = max(1, _SLAB // max(1, part[0].size))
    for z in range(0, len(part), step):
        # rint rounds half to even, and p = 0.5 to 128.
        scaled = part[z : z + step] * part.dtype.type(255)
        out[z : z + step] = np.rint(scaled, out=scaled)
