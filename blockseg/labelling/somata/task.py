"""Somata of one block: bodies in the coarse image, with the run's results for each."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.task import OpenTask
from blockseg.core.blocks import BlockReport
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.open import open_volume
from blockseg.labelling.somata.bodies import SOMA, are_somata
from blockseg.morphology.blobs import find_blobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from blockseg.blockwise.derived.image import RunImage
    from blockseg.core.blocks import Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.space import Vector
    from blockseg.io.protocol import Volume
    from blockseg.labelling.background import Background
    from blockseg.labelling.somata.grid import SomaGrid

_INSIDE, _TOUCHING = 0.6, 1.2  # radii


@dataclass(frozen=True, slots=True)
class FindSomata:
    """Finds the somata of each block of the coarse grid."""

    name: ClassVar[str] = "somata"

    where: SomaGrid
    """Coarse image."""

    background: Background
    """Noise by which contrast is judged."""

    least_snr: float
    """SNR that a soma has at least."""

    probability: RunImage
    """Probability of the run."""

    components: RunImage
    """Objects of the run."""

    voxel_size: Vector
    """Voxel size of the run's output, in µm."""

    @property
    def grid(self) -> BlockGrid:
        """Blocks of the coarse grid."""
        return self.where.blocks

    def open(self, cache_bytes: int) -> _FindingSomata:
        """Open the images in a worker."""
        return _FindingSomata(
            self,
            open_volume(self.where.volume, ReadLimits(cache_bytes)),
            self.probability.open(),
            self.components.open(),
        )

    def stores(self) -> tuple[()]:
        """No image: what is found is kept in the ledger."""
        return ()

    def reads(self) -> None:
        """Nothing is watched: the request knows the source by its fingerprint."""


@dataclass(frozen=True, slots=True)
class _FindingSomata(OpenTask):
    spec: FindSomata
    image: Volume
    probability: Volume
    components: Volume

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        spec, where = self.spec, self.spec.where
        with meter("read"):
            grey = self.image.read(block.read_roi)
        with meter("find"):
            least = spec.background.least_noise(
                where.in_source(np.subtract(block.write_roi.start, 1).tolist()),
                where.in_source(block.write_roi.stop),
            )
            blobs = find_blobs(
                grey,
                where.scales,
                block.read_roi,
                block.write_roi,
                spec.least_snr * least,
            )
        rows = np.zeros(len(blobs), SOMA)
        for name in blobs.dtype.names or ():
            rows[name] = blobs[name]
        for row in rows:
            row["noise"] = spec.background.noise(where.in_source(row["place"].tolist()))
        rows = rows[self._inside(rows)]
        radius = (where.scales.low, where.scales.high)
        # Of what no probability can save nothing need be read.
        rows = rows[are_somata(rows, spec.least_snr, radius)]
        with meter("look up"):
            for row in rows:
                self._look_up(row)
        rows = rows[are_somata(rows, spec.least_snr, radius)]
        return BlockReport(
            block.number,
            written=block.write_roi.size,
            foreground=len(rows),
            payload=zlib.compress(rows.tobytes()) if len(rows) else b"",
        )

    def _inside(self, rows: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return which have their centre in the output."""
        place = np.array(
            [self.spec.where.in_output(p) for p in rows["place"].tolist()]
        ).reshape(-1, 3)
        shape = np.array(self.probability.shape)
        inside = (place >= -0.5) & (place < shape - 0.5)
        return np.asarray(inside.all(axis=1))

    def _look_up(self, row: np.void) -> None:
        centre = np.array(self.spec.where.in_output(row["place"].tolist()))
        size = np.array(self.spec.voxel_size)
        reach = _TOUCHING * float(row["radius"])
        low = np.floor(centre - reach / size).astype(int)
        high = np.ceil(centre + reach / size).astype(int) + 1
        box = Roi(to_zyx(low), to_zyx(high)).intersection(
            Roi.whole(self.probability.shape)
        )
        z, y, x = (
            ((np.arange(a, b) - c) * s) ** 2
            for a, b, c, s in zip(box.start, box.stop, centre, size, strict=True)
        )
        away = np.sqrt(z[:, None, None] + y[:, None] + x)
        # In voxels larger than the inside there is still the one at the centre.
        inside = away <= max(_INSIDE * float(row["radius"]), float(away.min()))
        row["probability"] = self.probability.read(box)[inside].mean() / 255
        ids = self.components.read(box)[away <= reach]
        ids, count = np.unique(ids[ids > 0], return_counts=True)
        row["component"] = ids[np.argmax(count)] if len(ids) else 0


def rows_of(payloads: Iterable[tuple[int, bytes]]) -> NDArray[np.void]:
    """Return what all blocks found, of :data:`SOMA`."""
    parts = [np.frombuffer(zlib.decompress(packed), SOMA) for _, packed in payloads]
    return np.concatenate([np.zeros(0, SOMA), *parts])
