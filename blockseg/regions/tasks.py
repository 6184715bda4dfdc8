"""Block tasks of ``blockseg regions``: sizes, voxels and objects, lengths of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.atlas.census import (
    Foreground,
    atlas_volumes,
    foreground_of,
    imaged_volumes,
)
from blockseg.atlas.lengths import Lengths, by_region
from blockseg.atlas.tree_files import mapped_swc
from blockseg.blockwise.task import OpenTask
from blockseg.core.blocks import BlockReport
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.io.output.written_files import write_block_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from blockseg.atlas.transform import Mapped, Transform
    from blockseg.atlas.volume import Atlas, AtlasSpec, Box
    from blockseg.blockwise.derived.image import RunImage
    from blockseg.core.blocks import Meter
    from blockseg.core.grid import Block
    from blockseg.core.space import Space
    from blockseg.core.stored_file import StoredFile
    from blockseg.io.protocol import Volume
    from blockseg.regions.traces import TraceFiles

_AT_ONCE = 2**20  # voxels that are taken to the atlas at a time
_VOXELS_AT_ONCE = 2**21  # of a mask or an atlas


@dataclass(frozen=True, slots=True)
class AtlasSizes:
    """Counts the voxels of regions, block by block of the atlas."""

    name: ClassVar[str] = "atlas"

    atlas: AtlasSpec
    """The regions."""

    grid: BlockGrid
    """Blocks of the atlas."""

    image: Box | None
    """Box that was imaged, in µm of the atlas; None where a transform leads there."""

    def open(self, cache_bytes: int) -> _OpenSizes:
        """Open the atlas."""
        return _OpenSizes(self.atlas.open(cache_bytes), self.image)

    def stores(self) -> tuple[()]:
        """No image is written."""
        return ()

    def reads(self) -> None:
        """Nothing is watched: the request knows the atlas by its content."""


@dataclass(frozen=True, slots=True)
class _OpenSizes(OpenTask):
    atlas: Atlas
    image: Box | None

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("count"):
            found = atlas_volumes(self.atlas, block.write_roi, self.image)
        return BlockReport(
            block.number, written=block.write_roi.size, payload=found.to_bytes()
        )


@dataclass(frozen=True, slots=True)
class ImagedSizes:
    """Measures how much of each region a deformed sample covers, part by part."""

    name: ClassVar[str] = "imaged"

    atlas: AtlasSpec
    """The regions."""

    grid: BlockGrid
    """Blocks of cells that the sample is cut into."""

    image: Box
    """Box that was imaged, in µm of the sample."""

    transform: Transform
    """Way to the atlas."""

    def open(self, cache_bytes: int) -> _OpenImaged:
        """Open atlas and transform."""
        return _OpenImaged(self, self.atlas.open(cache_bytes), self.transform.open())

    def stores(self) -> tuple[()]:
        """No image is written."""
        return ()

    def reads(self) -> None:
        """Nothing is watched."""


@dataclass(frozen=True, slots=True)
class _OpenImaged(OpenTask):
    spec: ImagedSizes
    atlas: Atlas
    mapped: Mapped

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        spec = self.spec
        with meter("count"):
            found = imaged_volumes(
                self.atlas,
                self.mapped,
                spec.image,
                spec.grid.volume_shape,
                block.write_roi,
            )
        return BlockReport(
            block.number, written=block.write_roi.size, payload=found.to_bytes()
        )


@dataclass(frozen=True, slots=True)
class RegionVoxels:
    """Counts foreground voxels and objects of regions, block by block of a run."""

    name: ClassVar[str] = "voxels"

    atlas: AtlasSpec
    """The regions."""

    grid: BlockGrid
    """Blocks of the run."""

    space: Space
    """Space of the run's output, in µm."""

    clean: RunImage
    """Mask of the voxels that count."""

    components: RunImage
    """Object of each voxel."""

    transform: Transform | None
    """Way to the atlas; None where both are in the same space."""

    def open(self, cache_bytes: int) -> _OpenVoxels:
        """Open what is read."""
        mapped = None if self.transform is None else self.transform.open()
        return _OpenVoxels(
            self,
            self.atlas.open(cache_bytes // 2),
            self.clean.open(cache_bytes // 4),
            self.components.open(cache_bytes // 4),
            mapped,
        )

    def stores(self) -> tuple[()]:
        """No image is written."""
        return ()

    def reads(self) -> None:
        """Nothing of a source is read."""


@dataclass(frozen=True, slots=True)
class _OpenVoxels(OpenTask):
    spec: RegionVoxels
    atlas: Atlas
    clean: Volume
    components: Volume
    mapped: Mapped | None

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        whole = block.write_roi
        depth = max(1, _VOXELS_AT_ONCE // (whole.shape[1] * whole.shape[2]))
        parts = []
        for z in range(whole.start[0], whole.stop[0], depth):
            stop = (min(z + depth, whole.stop[0]), *whole.stop[1:])
            parts.append(self._count(Roi((z, *whole.start[1:]), stop), meter))
        found = Foreground.sum(parts)
        return BlockReport(
            block.number,
            written=whole.size,
            foreground=int(found.voxels.sum()),
            payload=found.to_bytes() if len(found.region) else b"",
        )

    def _count(self, roi: Roi, meter: Meter) -> Foreground:
        """Count a slab of a block, so that memory does not grow with the block."""
        with meter("read"):
            voxel = np.nonzero(self.clean.read(roi))
            if not len(voxel[0]):
                return Foreground.sum([])
            items = self.components.read(roi)[voxel]
        with meter("count"):
            axes = tuple(
                t + s * np.arange(a, b, dtype=np.float64)
                for t, s, a, b in zip(
                    self.spec.space.translation,
                    self.spec.space.voxel_size,
                    roi.start,
                    roi.stop,
                    strict=True,
                )
            )
            return foreground_of(self._regions(axes, voxel), items)

    def _regions(
        self,
        axes: tuple[NDArray[np.float64], ...],
        voxel: tuple[NDArray[np.int64], ...],
    ) -> NDArray[np.int64]:
        if self.mapped is None:
            ids, index = self.atlas.along(axes)
            z, y, x = (along[place] for along, place in zip(index, voxel, strict=True))
            return np.asarray(ids[z, y, x])
        out = np.empty(len(voxel[0]), np.int64)
        for first in range(0, len(out), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            points = np.stack(
                [axis[place[part]] for axis, place in zip(axes, voxel, strict=True)],
                axis=1,
            )
            out[part] = self.atlas.at(self.mapped(points))
        return out


@dataclass(frozen=True, slots=True)
class RegionLengths:
    """Measures the length of traces in each region, a group of files at a time."""

    name: ClassVar[str] = "lengths"

    atlas: AtlasSpec
    """The regions."""

    traces: TraceFiles
    """The traces."""

    out: str
    """The output."""

    within: str
    """Folder of it for traces that are taken to the atlas, '/'-separated; empty to write
    none."""

    @property
    def grid(self) -> BlockGrid:
        """Groups of files."""
        return self.traces.grid

    def open(self, cache_bytes: int) -> _OpenLengths:
        """Open atlas and transform."""
        transform = self.traces.transform
        mapped = None if transform is None else transform.open()
        return _OpenLengths(self, self.atlas.open(cache_bytes), mapped)

    def stores(self) -> tuple[()]:
        """No image: its files are told by name."""
        return ()

    def reads(self) -> None:
        """Nothing is watched: the request knows the traces by their content."""


@dataclass(frozen=True, slots=True)
class _OpenLengths(OpenTask):
    spec: RegionLengths
    atlas: Atlas
    mapped: Mapped | None

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        spec, transform = self.spec, self.spec.traces.transform
        step = np.inf if transform is None else transform.step
        found: list[Lengths] = []
        files: list[StoredFile] = []
        with meter("measure"):
            for tree in spec.traces.group(block):
                found.append(by_region(tree, self.atlas, self.mapped, step))
                if self.mapped is not None and spec.within:
                    path = f"{spec.within}/{tree.name}.swc"
                    text = mapped_swc(tree, self.mapped).encode()
                    files.append(write_block_file(spec.out, path, text, folders=2))
        return BlockReport(
            block.number,
            written=block.write_roi.size,
            payload=Lengths.sum(found).to_bytes(),
            files=tuple(files),
        )


def atlas_grid(atlas: AtlasSpec) -> BlockGrid:
    """Return blocks of an atlas; of a TIFF whole planes, as it decodes them so.

    Parameters
    ----------
    atlas
        The regions.
    """
    z, y, x = atlas.shape
    if atlas.source.format == "tiff":
        planes = min(z, max(1, _VOXELS_AT_ONCE // (y * x)))
        return BlockGrid(atlas.shape, (planes, y, x))
    return BlockGrid(atlas.shape, (min(z, 32), min(y, 256), min(x, 256)))


def joined_foreground(parts: Iterable[bytes]) -> Foreground:
    """Return the counts of blocks together, some at a time: 24 bytes a pair, three times.

    Parameters
    ----------
    parts
        Payloads of :class:`RegionVoxels`.
    """
    waiting: list[Foreground] = []
    size, limit = 0, 2**22
    for part in parts:
        waiting.append(Foreground.from_bytes(part))
        size += len(waiting[-1].region)
        if size > limit:
            waiting = [Foreground.sum(waiting)]
            size = len(waiting[0].region)
            limit = 2 * size + 2**22
    return Foreground.sum(waiting)
