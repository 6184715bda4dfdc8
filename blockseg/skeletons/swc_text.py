"""Trees of objects written as SWC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.skeletons.trees import ObjectTree


_UNITS = (
    "units: micrometer; x y z from the origin of the source, voxels stand for their "
    "centres"
)


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """Comments at the head of every file, that say what its numbers mean."""

    source: str
    """Name of the image that was segmented."""

    voxel_size: tuple[float, float, float]
    """Edge lengths of a voxel along (z, y, x), in µm."""

    translation: tuple[float, float, float]
    """Centre of the first voxel of the segmentation, (z, y, x), in µm."""

    made_from: str
    """Image that the lines were made from, and how it was made."""

    def lines(self, tree: ObjectTree) -> list[str]:
        """Return them for one object."""
        size, corner = self.voxel_size, self.translation
        return [
            f"# object {tree.component} of {self.made_from}",
            f"# source: {self.source}",
            f"# {_UNITS}",
            f"# voxel_size_xyz: {_numbers(size[::-1])}",
            f"# first_voxel_xyz: {_numbers(corner[::-1])}",
            f"# length: {tree.length:.3f}",
            f"# tips: {tree.tips}",
            f"# branch_points: {tree.branchings}",
            "# id type x y z radius parent; type 0 undefined, 1 soma",
        ]


def swc_text(tree: ObjectTree, header: TraceHeader) -> str:
    """Return a tree as SWC: id from 1, type, x, y, z, radius, parent; in µm."""
    parent = np.where(tree.parent < 0, -1, tree.parent + 1)
    rows = zip(
        tree.kind.tolist(),
        tree.position[:, ::-1].tolist(),
        tree.radius.tolist(),
        parent.tolist(),
        strict=True,
    )
    body = [
        f"{number} {kind} {x:.3f} {y:.3f} {z:.3f} {radius:.3f} {above}"
        for number, (kind, (x, y, z), radius, above) in enumerate(rows, 1)
    ]
    return "\n".join([*header.lines(tree), *body]) + "\n"


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.10g}" for value in values)
