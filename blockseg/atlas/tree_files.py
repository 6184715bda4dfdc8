"""Traced neurons brought to an atlas, and written as SWC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from blockseg.atlas.transform import Mapped
    from blockseg.morphology.swc import Tree

_HEAD = (
    "# Made by blockseg: centrelines brought to the space of an atlas\n"
    "# x y z radius in µm of the atlas (voxel centres, its translation included);\n"
    "# radii are those of the sample\n"
)


def mapped_swc(tree: Tree, mapped: Mapped) -> str:
    """Return a neuron as SWC in the space of an atlas.

    Nodes keep their order, types, radii and parents.

    Parameters
    ----------
    tree
        In µm of the sample.
    mapped
        Way from the sample to the atlas.
    """
    place = mapped(tree.position)
    parent = np.where(tree.parent < 0, -1, tree.parent + 1)
    lines = [
        f"{number} {kind} {x:.4f} {y:.4f} {z:.4f} {radius:.4g} {above}\n"
        for number, (kind, (z, y, x), radius, above) in enumerate(
            zip(
                tree.kind.tolist(),
                place.tolist(),
                tree.radius.tolist(),
                parent.tolist(),
                strict=True,
            ),
            1,
        )
    ]
    return _HEAD + "".join(lines)
