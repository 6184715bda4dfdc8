"""Block tasks of ``blockseg density``: lengths by voxel, then the map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.atlas.lengths import Lengths, by_voxel
from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.core.blocks import BlockReport
from blockseg.core.errors import CorruptDataError
from blockseg.io.output.write_errors import write_error
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.output.written_files import write_block_file
from blockseg.morphology.path_pieces import LENGTH_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from blockseg.atlas.transform import Mapped
    from blockseg.core.blocks import Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.space import Space
    from blockseg.core.stored_file import StoredFile
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.regions.traces import TraceFiles

_MM3 = 1e9
_COLUMNS = 2  # voxel and length


@dataclass(frozen=True, slots=True)
class VoxelLengths:
    """Measures the length of traces in each voxel of a map, a group of files at a time.

    Each group leaves a file of voxels and lengths, sorted by the block of the map that
    they lie in: some bytes for each voxel that a neurite passes.
    """

    name: ClassVar[str] = "density-lengths"

    traces: TraceFiles
    """The traces."""

    map_grid: BlockGrid
    """Voxels and blocks of the map."""

    space: Space
    """Voxel size and place of the map, in µm."""

    out: str
    """The output."""

    within: str
    """Folder of it for the files, '/'-separated."""

    @property
    def grid(self) -> BlockGrid:
        """Groups of files."""
        return self.traces.grid

    def open(self, cache_bytes: int) -> _OpenVoxelLengths:  # noqa: ARG002
        """Open the transform."""
        transform = self.traces.transform
        return _OpenVoxelLengths(self, None if transform is None else transform.open())

    def stores(self) -> tuple[()]:
        """No image: its files are told by name."""
        return ()

    def reads(self) -> None:
        """Nothing is watched: the request knows the traces by their content."""


@dataclass(frozen=True, slots=True)
class _OpenVoxelLengths(OpenTask):
    spec: VoxelLengths
    mapped: Mapped | None

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        spec = self.spec
        transform = spec.traces.transform
        step = np.inf if transform is None else transform.step
        shape = spec.map_grid.volume_shape
        with meter("measure"):
            found = Lengths.sum(
                [
                    by_voxel(tree, shape, spec.space, self.mapped, step)
                    for tree in spec.traces.group(block)
                ]
            )
        inside = found.key >= 0
        outside = int(found.units[~inside].sum())
        voxel, units = found.key[inside], found.units[inside]
        number = block_numbers(spec.map_grid, voxel)
        order = np.argsort(number, kind="stable")
        table = np.stack([voxel, units], axis=1)[order]
        index = GroupIndex.of(number[order], int(units.sum()), outside)
        files: tuple[StoredFile, ...] = ()
        if len(table):
            with meter("write"):
                path = f"{spec.within}/{block.number:08d}"
                content = table.astype("<i8").tobytes()
                files = (write_block_file(spec.out, path, content),)
        return BlockReport(
            block.number,
            written=block.write_roi.size,
            payload=index.to_bytes(),
            files=files,
        )


def block_numbers(grid: BlockGrid, voxel: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the block that each voxel lies in.

    Parameters
    ----------
    grid
        Blocks over a whole volume.
    voxel
        C-order numbers of voxels, (n,).
    """
    places = np.unravel_index(voxel, grid.volume_shape)
    index = [p // n for p, n in zip(places, grid.block_shape, strict=True)]
    return np.asarray(np.ravel_multi_index(tuple(index), grid.counts), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class GroupIndex:
    """Positions in the file of a group at which the blocks of the map begin."""

    block: NDArray[np.int64]
    """Numbers of the blocks, (n,), rising."""

    row: NDArray[np.int64]
    """First row of each, (n,), and the number of all rows."""

    inside: int
    """Length in the map, in units of ``path_pieces.LENGTH_UNIT``."""

    outside: int
    """Length beyond it."""

    @classmethod
    def of(cls, number: NDArray[np.int64], inside: int, outside: int) -> GroupIndex:
        """Return the index of rows.

        Parameters
        ----------
        number
            Block of each row, (n,), rising.
        inside, outside
            Length in the map and beyond it.
        """
        block, first = np.unique(number, return_index=True)
        return cls(
            block, np.append(first, len(number)).astype(np.int64), inside, outside
        )

    def to_bytes(self) -> bytes:
        """Return it as bytes, little-endian."""
        values = np.concatenate([[self.inside, self.outside], self.block, self.row])
        return values.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> GroupIndex:
        """Return what :meth:`to_bytes` wrote."""
        values = np.frombuffer(data, "<i8").astype(np.int64)
        inside, outside, *_ = values.tolist()
        n = (len(values) - 3) // 2
        return cls(values[2 : 2 + n], values[2 + n :], inside, outside)


@dataclass(frozen=True, slots=True, eq=False)
class MapIndex:
    """Rows of files from which each block of the map is made."""

    block: NDArray[np.int64]
    """Block of each part, (n,), rising; of one block by group."""

    group: NDArray[np.int64]
    """Group that it comes from."""

    first: NDArray[np.int64]
    """Its first row in the file of the group."""

    stop: NDArray[np.int64]
    """The row after its last."""

    @classmethod
    def of(cls, groups: Iterable[tuple[int, GroupIndex]]) -> MapIndex:
        """Return the index of a map from those of all groups, by their numbers."""
        nothing = np.zeros((0, 4), np.int64)
        parts = [
            np.stack(
                [
                    index.block,
                    np.full(len(index.block), number),
                    index.row[:-1],
                    index.row[1:],
                ],
                axis=1,
            )
            for number, index in groups
        ]
        table = np.concatenate([nothing, *parts])
        table = table[np.lexsort((table[:, 1], table[:, 0]))]
        return cls(*(np.ascontiguousarray(column) for column in table.T))

    def of_block(self, number: int) -> list[tuple[int, int, int]]:
        """Return group, first row and row after the last, of each part of a block."""
        low, high = np.searchsorted(self.block, [number, number + 1])
        columns = (self.group[low:high], self.first[low:high], self.stop[low:high])
        return list(zip(*(column.tolist() for column in columns), strict=True))


@dataclass(frozen=True, slots=True)
class DensityMap:
    """Makes the blocks of a density map from the files of all groups."""

    name: ClassVar[str] = "density"

    grid: BlockGrid
    """Its blocks."""

    image: PyramidSpec
    """Image that is written."""

    index: MapIndex
    """Rows of files that belong to a block."""

    folder: str
    """Absolute path of the folder of these files."""

    def open(self, cache_bytes: int) -> _OpenDensity:  # noqa: ARG002
        """Open the image."""
        return _OpenDensity(self, PyramidWriter(self.image))

    def stores(self) -> tuple[Stored, ...]:
        """Return the map."""
        return (Stored(self.image),)

    def reads(self) -> None:
        """Nothing of a source is read."""


class _OpenDensity(OpenTask):
    def __init__(self, spec: DensityMap, writer: PyramidWriter) -> None:
        self._spec, self._writer = spec, writer

    @cached_property
    def _voxel_volume(self) -> float:
        return float(np.prod(self._spec.image.space.voxel_size))

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        roi, shape = block.write_roi, self._spec.grid.volume_shape
        units = np.zeros(roi.size, np.int64)
        with meter("read"):
            for group, first, stop in self._spec.index.of_block(block.number):
                voxel, length = self._rows(group, first, stop).T
                place = np.unravel_index(voxel, shape)
                local = np.ravel_multi_index(
                    tuple(p - a for p, a in zip(place, roi.start, strict=True)),
                    roi.shape,
                )
                # Each voxel stands once in a group.
                units[local] += length
        density = units * (LENGTH_UNIT * _MM3 / self._voxel_volume)
        with meter("write"):
            data = density.astype(np.float32).reshape(roi.shape)
            written = self._writer.write_block(roi, data)
        return report_of(block, written, foreground=written.nonzero)

    def _rows(self, group: int, first: int, stop: int) -> NDArray[np.int64]:
        path = Path(self._spec.folder, f"{group:08d}")
        try:
            rows = np.fromfile(
                path, "<i8", _COLUMNS * (stop - first), offset=8 * _COLUMNS * first
            )
        except OSError as error:
            raise write_error(error, str(path)) from error
        if len(rows) != _COLUMNS * (stop - first):
            message = (
                f"{path} is shorter than it was written; start over with --overwrite"
            )
            raise CorruptDataError(message, str(path))
        return rows.astype(np.int64).reshape(-1, _COLUMNS)
