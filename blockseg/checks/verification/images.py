"""Images that jobs write, and which block or pass wrote what of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.geometry import ceil_to, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.io.output.pyramid import CHUNKS_A_SHARD
from blockseg.io.output.stored_images import stored_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.record.record import RunRecord
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.io.output.stored_images import StoredImage, StoredLevel
    from blockseg.io.stores.location import Location

_IMAGES = {
    "segment": ("", "labels/foreground"),
    "copy": ("",),
    "synth": ("",),
    "label": ("labels/components", "labels/foreground_clean"),
    "density": ("density",),
}
"""Where the images of a job lie, by the name of its main pass. The digest of a block in
the ledger is that of the first one."""

PROBABILITY, MASK = "", "labels/foreground"


@dataclass(frozen=True, slots=True)
class JobImages:
    """Images of one job."""

    record: RunRecord
    """Record of the job."""

    images: tuple[StoredImage, ...]
    """Those that can be understood; the first one's voxels have digests in the ledger."""

    lost: tuple[str, ...] = ()
    """Places where an image should be, but no metadata describe one."""

    @classmethod
    def of(cls, out: Location, record: RunRecord) -> JobImages:
        """Look what of a job's images lies in an output."""
        places = _IMAGES.get(record.phases[0].name, ())
        found = {place: stored_image(out, place) for place in places}
        there = tuple(image for image in found.values() if image is not None)
        lost = tuple(place for place, image in found.items() if image is None)
        # Without the first one nothing is known of the others' blocks.
        return cls(record, () if lost[:1] == places[:1] else there, lost)

    @property
    def main(self) -> str:
        """Name of the main pass."""
        return self.record.phases[0].name

    def counts(self, phase: str) -> Zyx:
        """Return the blocks of a pass along (z, y, x)."""
        (counts,) = (one.grid for one in self.record.phases if one.name == phase)
        return counts

    def grid(self, image: StoredImage) -> BlockGrid:
        """Return the blocks of the main pass, in voxels of an image's finest level."""
        # A synthetic brain is asked for with its blocks.
        asked = self.record.request["settings"].get("block")
        block = self.record.decisions.get("block", asked)
        return BlockGrid(image.levels[0].shape, to_zyx(block))

    def pass_of(self, image: StoredImage, level: int) -> str:
        """Return the pass that wrote a level: the main one, where it is written at once."""
        name = f"pyramid-{image.name}-{level}"
        known = {phase.name for phase in self.record.phases}
        return name if name in known else self.main

    def writer_of(self, file: str) -> tuple[str, int] | None:
        """Return which pass and block would write a file.

        Parameters
        ----------
        file
            Below the output, '/'-separated.

        Returns
        -------
        tuple of str and int
            Name of the pass and number of the block; None if the file is no part of an
            image of this job.
        """
        for image in self.images:
            for number, level in enumerate(image.levels):
                index = level.index_of(file)
                if index is None:
                    continue
                phase = self.pass_of(image, number)
                first = (i * s for i, s in zip(index, level.file_shape, strict=True))
                if phase == self.main:
                    grid = self.grid(image)
                    at = to_zyx(
                        (n << number) // b
                        for n, b in zip(first, grid.block_shape, strict=True)
                    )
                    return phase, grid.id_of(at)
                shard = self.shard(level)
                grid = BlockGrid(level.shape, shard)
                at = to_zyx(n // s for n, s in zip(first, shard, strict=True))
                return phase, grid.id_of(at)
        return None

    def shard(self, level: StoredLevel) -> Zyx:
        """Return the voxels that one block of the pass over a coarse level writes."""
        if level.prefix:  # one file, in Zarr v3
            return level.file_shape
        return to_zyx(
            min(ceil_to(n, c), CHUNKS_A_SHARD * c)
            for n, c in zip(level.shape, level.file_shape, strict=True)
        )

    def is_array(self, file: str) -> bool:
        """Say whether a file lies in a folder where only this job's voxels lie."""
        return any(
            file.startswith(f"{level.path}/")
            for image in self.images
            for level in image.levels
        )

    def tiles(self, image: StoredImage, level: int, edge: int) -> Iterator[Roi]:
        """Yield boxes that tile a level."""
        shape = image.levels[level].shape
        grid = BlockGrid(shape, to_zyx(min(edge, n) for n in shape))
        return (block.write_roi for block in grid)
