"""Trees of objects written as SWC."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.skeletons.trees import SOMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.skeletons.trees import ObjectTree


_STANDS_IN = (
    "no soma was found: node 1, at the place of node 2, stands for one, which MorphIO "
    "and NeuroM ask for"
)
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

    soma: bool = True
    """Whether an object without a soma gets a node of type 1 at its root."""

    def lines(self, tree: ObjectTree) -> list[str]:
        """Return them for one object."""
        size, corner = self.voxel_size, self.translation
        meta = {"id": str(tree.component), "units": "1 micrometer"}
        return [
            f"# Meta: {json.dumps(meta)}",  # navis reads it
            f"# object {tree.component} of {self.made_from}",
            f"# source: {self.source}",
            f"# {_UNITS}",
            f"# voxel_size_xyz: {_numbers(size[::-1])}",
            f"# first_voxel_xyz: {_numbers(corner[::-1])}",
            f"# length: {tree.length:.3f}",
            f"# tips: {tree.tips}",
            f"# branch_points: {tree.branchings}",
            "# id type x y z radius parent; type 0 undefined, 1 soma",
            *([f"# {_STANDS_IN}"] if self.stands_in(tree) else []),
        ]

    def stands_in(self, tree: ObjectTree) -> bool:
        """Say whether the first node only stands for a soma that was not found."""
        return self.soma and int(tree.kind[0]) != SOMA


def swc_text(tree: ObjectTree, header: TraceHeader) -> str:
    """Return a tree as SWC: id from 1, type, x, y, z, radius, parent; in µm."""
    kind, place, radii = tree.kind, tree.position[:, ::-1], tree.radius
    parent = np.where(tree.parent < 0, -1, tree.parent + 1)
    if header.stands_in(tree):
        kind = np.r_[SOMA, kind]
        place, radii = np.concatenate([place[:1], place]), np.r_[radii[:1], radii]
        parent = np.r_[-1, 1, np.where(tree.parent[1:] < 0, -1, tree.parent[1:] + 2)]
    rows = zip(
        kind.tolist(), place.tolist(), radii.tolist(), parent.tolist(), strict=True
    )
    body = [
        f"{number} {kind} {x:.3f} {y:.3f} {z:.3f} {radius:.3f} {above}"
        for number, (kind, (x, y, z), radius, above) in enumerate(rows, 1)
    ]
    return "\n".join([*header.lines(tree), *body]) + "\n"


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.10g}" for value in values)
