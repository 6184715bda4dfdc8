"""Block tasks of labelling: pieces, their seams, and the final labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.core.blocks import BlockReport
from blockseg.core.errors import CorruptDataError
from blockseg.io.output.writer import PyramidWriter
from blockseg.labelling.assigned import Assigned
from blockseg.labelling.canvases import Canvases
from blockseg.labelling.pieces import label_block, measure
from blockseg.labelling.scratch import seam_to_bytes
from blockseg.labelling.seams import BEFORE, Faces, seam

if TYPE_CHECKING:
    from blockseg.blockwise.derived.image import RunImage
    from blockseg.blockwise.sources.block_reading import BlockReading, OpenReading
    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.protocol import Volume
    from blockseg.labelling.background import Background
    from blockseg.labelling.pieces import Connectivity, Pieces
    from blockseg.labelling.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Foreground:
    """Voxels that are labelled: the mask of a run, or a probability above a byte."""

    image: RunImage
    """Mask or probability of a run."""

    least: int = 1
    """Smallest byte that counts."""

    connectivity: Connectivity = 26
    """Neighbours of a voxel that belong to the same component."""

    @property
    def grid(self) -> BlockGrid:
        """Blocks of the run."""
        return self.image.grid

    def open(self, cache_bytes: int) -> OpenForeground:
        """Open the image in a worker."""
        return OpenForeground(self.image.open(cache_bytes), self)


@dataclass(frozen=True, slots=True)
class OpenForeground:
    """Foreground as it is open in a worker."""

    volume: Volume
    """Its image."""

    spec: Foreground
    """Voxels that count."""

    def pieces(self, block: Block) -> Pieces:
        """Return the components of a block by itself: the same every time."""
        mask = self.volume.read(block.write_roi) >= self.spec.least
        return label_block(mask, self.spec.connectivity)


@dataclass(frozen=True, slots=True)
class LabelPieces:
    """Labels each block by itself, and measures what it found."""

    name: ClassVar[str] = "pieces"

    foreground: Foreground
    """Voxels that are labelled."""

    probability: RunImage
    """Probability of the run."""

    scratch: Scratch
    """Where pieces are kept."""

    weights: bytes
    """256 lengths of neighbourhoods, int64."""

    image: BlockReading | None = None
    """Image that the run segmented; None where it is not looked at."""

    background: Background | None = None
    """Background by which the image is judged."""

    @property
    def grid(self) -> BlockGrid:
        """Blocks of the run."""
        return self.foreground.grid

    def open(self, cache_bytes: int) -> _LabellingPieces:
        """Open the images in a worker."""
        return _LabellingPieces(
            self,
            self.foreground.open(cache_bytes),
            self.probability.open(cache_bytes),
            None if self.image is None else self.image.open(cache_bytes),
        )

    def stores(self) -> tuple[()]:
        """No image: pieces are kept in files of their own until they are merged."""
        return ()

    def reads(self) -> BlockReading | None:
        """Return what is read of the source."""
        return self.image


@dataclass(frozen=True, slots=True)
class _LabellingPieces(OpenTask):
    spec: LabelPieces
    foreground: OpenForeground
    probability: Volume
    image: OpenReading | None

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        spec, roi = self.spec, block.write_roi
        with meter("label"):
            pieces = self.foreground.pieces(block)
        if not pieces.count:
            return BlockReport(block.number, written=roi.size)
        places = pieces.runs.places()
        with meter("read"):
            probability = self.probability.read(roi).ravel()[places]
        levels = None
        if self.image is not None and spec.background is not None:
            place = self.image.block(block.number).write_roi
            with meter("read"):
                voxels = self.image.look(place).voxels
            with meter("measure"):
                levels = spec.background.contrast(voxels, place, places)
        with meter("measure"):
            rows = measure(
                pieces,
                roi,
                spec.grid.volume_shape,
                np.frombuffer(spec.weights, np.int64),
                probability,
                levels,
            )
        with meter("write"):
            faces = Faces.of(pieces.labels)
            spec.scratch.write(block.number, rows, faces, pieces.runs)
        return BlockReport(
            block.number,
            written=roi.size,
            foreground=int(rows["voxels"].sum()),
            payload=pieces.count.to_bytes(8, "little"),
        )


@dataclass(frozen=True, slots=True)
class MatchPieces:
    """Finds which pieces touch across the faces, edges and corners of blocks."""

    name: ClassVar[str] = "seams"

    grid: BlockGrid
    """Blocks of the run."""

    connectivity: Connectivity
    """Neighbours of a voxel that belong to the same component."""

    scratch: Scratch
    """Where pieces are kept."""

    weights: bytes
    """256 lengths of neighbourhoods, int64."""

    def open(self, cache_bytes: int) -> _MatchingPieces:  # noqa: ARG002
        """Nothing is held open."""
        return _MatchingPieces(self)

    def stores(self) -> tuple[()]:
        """No image: what touches is kept in the ledger."""
        return ()

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _MatchingPieces(OpenTask):
    spec: MatchPieces

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        grid = self.spec.grid
        blocks = {}
        with meter("read"):
            for place, number in enumerate(blocks_before(grid, block.index)):
                faces = None if number is None else self.spec.scratch.faces(number)
                if faces is not None:
                    blocks[place] = faces
        with meter("match"):
            z, y, x = (
                b == n
                for b, n in zip(block.write_roi.stop, grid.volume_shape, strict=True)
            )
            found = seam(
                blocks,
                block.write_roi.shape,
                (z, y, x),
                self.spec.connectivity,
                np.frombuffer(self.spec.weights, np.int64),
            )
        return BlockReport(block.number, payload=seam_to_bytes(found))


def blocks_before(grid: BlockGrid, index: Zyx) -> list[int | None]:
    """Return numbers of a block and those before it, in the order of ``seams.BEFORE``.

    None stands where the grid has none.
    """
    found: list[int | None] = []
    for offset in BEFORE:
        z, y, x = (i + o for i, o in zip(index, offset, strict=True))
        found.append(None if min(z, y, x) < 0 else grid.id_of((z, y, x)))
    return found


@dataclass(frozen=True, slots=True)
class WriteLabels:
    """Writes the labels of whole components, and the mask of those that pass."""

    name: ClassVar[str] = "label"

    foreground: Foreground
    """Voxels that are labelled."""

    assigned: str
    """Folder with the component of each piece."""

    scratch: Scratch
    """Where pieces are kept; those of a block that has none there are found again."""

    components: PyramidSpec
    """Label of each voxel's component, uint64."""

    clean: PyramidSpec
    """1 where the component passes, uint8."""

    @property
    def grid(self) -> BlockGrid:
        """Blocks of the run."""
        return self.foreground.grid

    def open(self, cache_bytes: int) -> _WritingLabels:
        """Open the images in a worker."""
        return _WritingLabels(
            self.foreground.open(cache_bytes),
            Assigned.open(self.assigned),
            self.scratch,
            PyramidWriter(self.components),
            PyramidWriter(self.clean),
            (
                Canvases(self.components.dtype, self.grid.block_shape),
                Canvases(self.clean.dtype, self.grid.block_shape),
            ),
        )

    def stores(self) -> tuple[Stored, ...]:
        """Return components and clean mask."""
        return Stored(self.components), Stored(self.clean, column="foreground")

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _WritingLabels(OpenTask):
    foreground: OpenForeground
    assigned: Assigned
    scratch: Scratch
    components: PyramidWriter
    clean: PyramidWriter
    canvases: tuple[Canvases, Canvases]

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("read"):
            runs = self.scratch.runs(block.number)
        with meter("label"):
            runs = runs or self.foreground.pieces(block).runs
            ids, passes = self.assigned.of(block.number)
            if len(ids) != runs.count:
                message = (
                    f"block {block.index} has {runs.count} pieces and had {len(ids)}: the "
                    "result of the run changed while it was labelled; start over with "
                    "--overwrite"
                )
                raise CorruptDataError(message)
            places = runs.places()
        with (
            self.canvases[0].painted(runs.shape, places, runs.of_voxels(ids)) as one,
            self.canvases[1].painted(
                runs.shape, places, runs.of_voxels(passes)
            ) as other,
            meter("write"),
        ):
            end = self.components.begin_block(block.write_roi, one)
            try:
                clean = self.clean.write_block(block.write_roi, other)
            finally:
                written = end()
        return report_of(block, written, clean, foreground=clean.nonzero)


@dataclass(frozen=True, slots=True)
class FilterLabels:
    """Writes the mask of the components that pass other filters; their labels stay."""

    name: ClassVar[str] = "clean"

    labels: RunImage
    """Label of each voxel's component."""

    assigned: str
    """Folder that says which components pass."""

    clean: PyramidSpec
    """1 where the component passes, uint8."""

    @property
    def grid(self) -> BlockGrid:
        """Blocks of the run."""
        return self.labels.grid

    def open(self, cache_bytes: int) -> _FilteringLabels:
        """Open the images in a worker."""
        return _FilteringLabels(
            self.labels.open(cache_bytes),
            Assigned.open(self.assigned),
            PyramidWriter(self.clean),
        )

    def stores(self) -> tuple[Stored, ...]:
        """Return the clean mask."""
        return (Stored(self.clean, column="foreground"),)

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _FilteringLabels(OpenTask):
    labels: Volume
    assigned: Assigned
    clean: PyramidWriter

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("read"):
            ids = np.asarray(self.labels.read(block.write_roi))
        with meter("label"):
            passing = np.zeros(ids.shape, np.uint8)
            there = np.flatnonzero(ids)
            passing.ravel()[there] = self.assigned.passing(ids.ravel()[there])
        with meter("write"):
            clean = self.clean.write_block(block.write_roi, passing)
        return report_of(block, clean, foreground=clean.nonzero)
