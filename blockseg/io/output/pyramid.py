"""Plan of a multiscale image: its levels, chunks and shards, and who writes which.

Level ``k`` has ``ceil(n / 2^k)`` voxels an axis. Levels whose chunks divide what
is left of a block are *inline*: written from the block in memory. The coarser
ones come from a *second pass* over the level below, one shard at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from blockseg.core.errors import ConfigError, GeometryError
from blockseg.core.geometry import Roi, Zyx, ceil_to, tiles, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.output.codecs import DEFAULT_CODEC, codec_named
from blockseg.io.stores.address import is_remote
from blockseg.io.stores.location import location

if TYPE_CHECKING:
    from blockseg.io.output.provenance import Provenance
    from blockseg.io.stores.location import Location

OutputDtype: TypeAlias = Literal[
    "uint8", "uint16", "uint32", "uint64", "int16", "float32"
]
Reduction: TypeAlias = Literal["max", "mean"]

LARGEST_CHUNK = 64
COARSEST_EXTENT = 128
CHUNKS_A_SHARD = 4


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """The grid of one resolution level."""

    index: int
    """0 is the finest; level ``k`` is ``2^k`` times coarser on each axis."""

    shape: Zyx
    """Voxels of the level."""

    chunk: Zyx
    """Voxels that are compressed together."""

    shard: Zyx
    """Voxels that one write owns: one file in Zarr v3, whole chunks in Zarr v2."""

    inline: bool
    """Whether it is written from the block in memory, not in a second pass."""

    def __post_init__(self) -> None:
        if min(*self.shape, *self.chunk, *self.shard) < 1:
            message = f"a level needs shapes of at least one voxel: {self}"
            raise GeometryError(message)
        if any(s % c for s, c in zip(self.shard, self.chunk, strict=True)):
            message = (
                f"chunk {self.chunk} of level {self.index} does not divide its shard "
                f"{self.shard}: two blocks would write one chunk"
            )
            raise GeometryError(message)

    @property
    def grid(self) -> BlockGrid:
        """The level cut into shards."""
        return BlockGrid(self.shape, self.shard)


@dataclass(frozen=True, slots=True)
class PyramidSpec:
    """One multiscale image on disk; all that a worker needs to write its blocks.

    Raises
    ------
    ConfigError
        If the codec, format or data type is unknown, or the path is relative.
    GeometryError
        If a shape is not positive.
    """

    uri: str
    """Absolute path of the group that holds the levels."""

    shape: Zyx
    """Voxels of level 0."""

    block: Zyx
    """Voxels of one block of the run: the shard of level 0."""

    dtype: OutputDtype = "uint8"
    """Data type of the voxels, at every level."""

    space: Space = field(default_factory=Space)
    """Voxel size and place of level 0."""

    zarr_format: Literal[2, 3] = 3
    """3 is OME-Zarr 0.5 with shards, 2 is OME-Zarr 0.4 without."""

    codec: str = DEFAULT_CODEC
    """Compression of chunks; see :mod:`blockseg.io.output.codecs`."""

    reduce: Reduction = "max"
    """Reduction to a coarse voxel: the maximum of the 2×2×2 below it, or the mean."""

    name: str = "image"
    """Name of what the image shows, for viewers; never that of the output."""

    window: tuple[float, float] | None = None
    """Display range, in grey levels; None leaves it to the viewer."""

    within: str = ""
    """Path of the image in the output, '/'-separated; empty for the output itself."""

    checked: bool = True
    """Whether each chunk ends in a CRC32C, which readers check. In Zarr v3 only: v2 has
    no place for it after the compressor."""

    provenance: Provenance | None = None
    """State of a run that the image was made from, where it was derived from one."""

    whole_chunks: bool = False
    """Whether Blosc compresses a chunk in one piece, and not in pieces of 32 KiB. Ids, mostly
    zeros, take a third less time and bytes so."""

    def __post_init__(self) -> None:
        if min(*self.shape, *self.block) < 1:
            message = (
                "an output needs a shape and a block of at least one voxel, "
                f"not {self.shape} and {self.block}"
            )
            raise GeometryError(message)
        if not (is_remote(self.uri) or Path(self.uri).is_absolute()):
            message = f"workers need the absolute path of an output, not {self.uri!r}"
            raise ConfigError(message)
        codec_named(self.codec)
        if self.zarr_format not in (2, 3):
            message = f"no Zarr format {self.zarr_format!r}; choose 2 or 3"
            raise ConfigError(message)
        if self.dtype not in get_args(OutputDtype):
            message = (
                f"cannot write voxels of type {self.dtype!r}; "
                "choose uint8, uint16, uint32, uint64, int16 or float32"
            )
            raise ConfigError(message)
        if self.reduce not in ("max", "mean"):
            message = f"no reduction {self.reduce!r}; choose max or mean"
            raise ConfigError(message)

    @property
    def grid(self) -> BlockGrid:
        """The blocks of level 0, in the output's coordinates."""
        return BlockGrid(self.shape, self.block)

    @property
    def levels(self) -> tuple[PyramidLevel, ...]:
        """Every level, finest first, until no extent exceeds 128 voxels."""
        chunk = to_zyx(_largest_divisor(b, LARGEST_CHUNK) for b in self.block)
        levels = [PyramidLevel(0, self.shape, chunk, self.block, inline=True)]
        while max(levels[-1].shape) > COARSEST_EXTENT:
            levels.append(_next_level(levels[-1]))
        return tuple(levels)

    @property
    def inline_levels(self) -> tuple[PyramidLevel, ...]:
        """The levels written from the block in memory, level 0 first."""
        return tuple(level for level in self.levels if level.inline)

    def second_pass_grids(self) -> tuple[tuple[int, BlockGrid], ...]:
        """Return the levels of the second pass, in order, and their shards.

        A level reads the one below it, so they must be done one after the other.
        """
        return tuple((v.index, v.grid) for v in self.levels if not v.inline)

    def check_grid(self, grid: BlockGrid) -> None:
        """Check that each chunk and shard is written by exactly one block.

        Parameters
        ----------
        grid
            The blocks of the run, in the coordinates of its source.

        Raises
        ------
        GeometryError
            If the blocks do not tile the output as its shards do.
        """
        if grid.region.shape != self.shape or grid.block_shape != self.block:
            message = (
                f"blocks of {grid.block_shape} over {grid.region.shape} voxels do not "
                f"tile an output of {self.shape} in shards of {self.block}: two blocks "
                "would write one shard"
            )
            raise GeometryError(message)
        for level in self.inline_levels:
            covered = to_zyx(s * 2**level.index for s in level.shard)
            if covered != self.block:
                message = (
                    f"a shard of level {level.index} covers {covered} voxels, "
                    f"not one block of {self.block}: two blocks would write it"
                )
                raise GeometryError(message)

    def data_folder(self, level: PyramidLevel) -> Location:
        """Return the folder below which the files of ``level`` lie as z/y/x."""
        folder = location(self.uri) / str(level.index)
        return folder / "c" if self.zarr_format == 3 else folder

    def file_shape(self, level: PyramidLevel) -> Zyx:
        """Return the number of voxels in one file of ``level``."""
        return level.shard if self.zarr_format == 3 else level.chunk

    def stored_files(self, level: PyramidLevel, roi: Roi) -> list[Location]:
        """Return the files that hold ``roi`` of ``level``; those of zeros do not exist.

        Parameters
        ----------
        roi
            In voxels of that level.
        """
        make = location if is_remote(self.uri) else Path
        return [make(name) for name in self.stored_names(level, roi)]

    def stored_names(self, level: PyramidLevel, roi: Roi) -> list[str]:
        """Return the same as texts: a path costs more than most of what is done to it."""
        kind = "/c" if self.zarr_format == 3 else ""
        folder = f"{self.uri}/{level.index}{kind}"
        return [
            f"{folder}/{z}/{y}/{x}" for z, y, x in tiles(roi, self.file_shape(level))
        ]


def _next_level(finer: PyramidLevel) -> PyramidLevel:
    """Return the level above ``finer``; once one is not inline, none above it is."""
    shape = to_zyx(math.ceil(n / 2) for n in finer.shape)
    index = finer.index + 1
    pairs = list(zip(finer.shard, finer.chunk, strict=True))
    if finer.inline and all(s % 2 == 0 and s // 2 % c == 0 for s, c in pairs):
        shard = to_zyx(s // 2 for s in finer.shard)
        return PyramidLevel(index, shape, finer.chunk, shard, inline=True)
    chunk = to_zyx(min(n, LARGEST_CHUNK) for n in shape)
    shard = to_zyx(
        min(ceil_to(n, c), CHUNKS_A_SHARD * c)
        for n, c in zip(shape, chunk, strict=True)
    )
    return PyramidLevel(index, shape, chunk, shard, inline=False)


def _largest_divisor(number: int, limit: int) -> int:
    return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)
