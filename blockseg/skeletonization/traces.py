"""Second pass: lines joined to trees, object by object, and written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.task import OpenTask
from blockseg.core.blocks import BlockReport
from blockseg.core.grid import BlockGrid
from blockseg.io.output.written_files import write_block_file
from blockseg.skeletonization.lines import lines_file
from blockseg.skeletons.block_lines import BlockLines, joined
from blockseg.skeletons.bridges import tips_of
from blockseg.skeletons.forest import object_forest
from blockseg.skeletons.precomputed import skeleton_bytes
from blockseg.skeletons.shards import shard_bytes
from blockseg.skeletons.swc_text import TraceHeader, swc_text
from blockseg.skeletons.trees import trees_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import Block
    from blockseg.core.stored_file import StoredFile
    from blockseg.skeletonization.shares import Shares
    from blockseg.skeletons.graph import Graph
    from blockseg.skeletons.trees import ObjectTree

TRACES, TIPS = "traces", "tips"
"""Names of the passes."""

SWC, NEUROGLANCER = "swc", "neuroglancer"
"""Folders of the traces."""

COLUMNS = (
    "object,length_um,tips,branch_points,nodes,mean_radius_um,"
    "root_z_um,root_y_um,root_x_um,swc"
)
"""Head of the table: a row for each object."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedLines:
    """Lines of the first pass, joined by shares of objects."""

    shares: Shares
    """Objects."""

    shape: Zyx
    """Voxels of the image."""

    voxel_size: tuple[float, float, float]
    """Along (z, y, x), in µm."""

    translation: tuple[float, float, float]
    """Centre of the first voxel, in µm."""

    out: str
    """The output."""

    within: str
    """Folder below it with the lines of blocks, '/'-separated."""

    @property
    def grid(self) -> BlockGrid:
        """One block a share."""
        return BlockGrid((max(len(self.shares), 1), 1, 1), (1, 1, 1))

    def forest(self, number: int) -> Graph:
        """Return the trees of a share, bridges not yet built."""
        leads = self.shares.bridges.leads
        first, last = self.shares.first[number], self.shares.last[number]

        def pieces() -> Iterator[BlockLines]:
            for block in self.shares.blocks_of(number).tolist():
                within = lines_file(self.within, block)
                lines = BlockLines.from_bytes(
                    Path(self.out, within).read_bytes(), within
                )
                ids = leads(lines.component)
                yield lines.part((first <= ids) & (ids <= last))

        return object_forest(
            joined(pieces()), self.shape, self.voxel_size, self.translation
        )


@dataclass(frozen=True, slots=True, eq=False)
class TipsTask:
    """Finds the ends of all trees, between which gaps may be bridged."""

    name: ClassVar[str] = TIPS

    lines: JoinedLines
    """Lines that are joined."""

    @property
    def grid(self) -> BlockGrid:
        """One block a share."""
        return self.lines.grid

    def open(self, cache_bytes: int) -> _Tips:  # noqa: ARG002
        """Nothing is open."""
        return _Tips(self.lines)

    def stores(self) -> tuple[()]:
        """Nothing is written."""
        return ()

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _Tips(OpenTask):
    lines: JoinedLines

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("trace"):
            tips = tips_of(self.lines.forest(block.number))
        return BlockReport(block.number, payload=tips.to_bytes())


@dataclass(frozen=True, slots=True, eq=False)
class TracesTask:
    """Joins lines to trees and writes those that are long enough."""

    name: ClassVar[str] = TRACES

    lines: JoinedLines
    """Lines that are joined."""

    header: TraceHeader
    """Comments at the head of each SWC file."""

    folder: str
    """Folder of the traces, from the output, '/'-separated."""

    min_length: float
    """Least length of an object with files, in µm."""

    spacing: float
    """Distance of nodes along a line, in µm."""

    @property
    def grid(self) -> BlockGrid:
        """One block a share."""
        return self.lines.grid

    def open(self, cache_bytes: int) -> _Tracing:  # noqa: ARG002
        """Nothing is open."""
        return _Tracing(self)

    def stores(self) -> tuple[()]:
        """No image: its files are told by name."""
        return ()

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _Tracing(OpenTask):
    task: TracesTask

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        lines = self.task.lines
        if block.number >= len(lines.shares):  # an image without a single object
            return BlockReport(block.number)
        with meter("trace"):
            forest = lines.shares.bridges.joined(lines.forest(block.number))
        rows: list[str] = []
        files: list[StoredFile] = []
        layer: dict[int, bytes] = {}
        with meter("write"):
            for tree in trees_of(forest, self.task.spacing):
                kept = tree.length >= self.task.min_length
                rows.append(_row(tree, written=kept))
                if kept:
                    text = swc_text(tree, self.task.header).encode()
                    files.append(self._file(f"{SWC}/{tree.component}.swc", text))
                    layer[tree.component] = skeleton_bytes(tree)
            files += self._shards(layer)
        return BlockReport(
            block.number,
            written=len(forest),
            nonzero=len(layer),
            payload="".join(rows).encode(),
            files=tuple(files),
        )

    def _shards(self, layer: Mapping[int, bytes]) -> Iterator[StoredFile]:
        """Write the skeletons of a share, in the files that are its own."""
        sharding = self.task.lines.shares.sharding
        if sharding is None:
            for number, content in layer.items():
                yield self._file(f"{NEUROGLANCER}/{number}", content)
            return
        for shard, numbers in groupby(sorted(layer), sharding.shard):
            content = shard_bytes({number: layer[number] for number in numbers})
            yield self._file(f"{NEUROGLANCER}/{sharding.file(shard)}", content)

    def _file(self, name: str, content: bytes) -> StoredFile:
        path = f"{self.task.folder}/{name}"
        return write_block_file(self.task.lines.out, path, content, folders=2)


def _row(tree: ObjectTree, *, written: bool) -> str:
    """Return the row of an object in the table."""
    z, y, x = tree.position[0].tolist()
    radius = float(np.mean(tree.radius))
    file = f"{SWC}/{tree.component}.swc" if written else ""
    return (
        f"{tree.component},{tree.length:.3f},{tree.tips},{tree.branchings},{len(tree)},"
        f"{radius:.3f},{z:.3f},{y:.3f},{x:.3f},{file}\n"
    )


def relative(folder: Path, out: Path) -> str:
    """Return a folder as seen from the output, '/'-separated."""
    return Path(os.path.relpath(folder, out)).as_posix()
