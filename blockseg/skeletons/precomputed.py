"""Skeletons in Neuroglancer's precomputed format.

Format: google/neuroglancer, src/datasource/precomputed/skeletons.md.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blockseg.skeletons.shards import Sharding
    from blockseg.skeletons.trees import ObjectTree

_NANOMETRES = 1000.0  # Neuroglancer measures in nm


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers of an object that Neuroglancer shows and sorts by."""

    component: int
    """Id."""

    length: float
    """Length of its lines, in µm."""

    tips: int
    """Number of ends."""

    branchings: int
    """Number of branch points."""


def info_json(properties: str = "", sharding: Sharding | None = None) -> str:
    """Return the ``info`` of a layer, whose vertices are in nm and carry a radius.

    Parameters
    ----------
    properties
        Folder of the segment properties, beside it.
    sharding
        Which skeletons share a file; each has its own if not given.
    """
    nm = 1.0
    info = {
        "@type": "neuroglancer_skeletons",
        "transform": [nm, 0, 0, 0, 0, nm, 0, 0, 0, 0, nm, 0],
        "vertex_attributes": [
            {"id": "radius", "data_type": "float32", "num_components": 1}
        ],
        **({"segment_properties": properties} if properties else {}),
        **({} if sharding is None else {"sharding": sharding.to_plain()}),
    }
    return json.dumps(info, indent=1, sort_keys=True) + "\n"


def properties_json(measured: Iterable[Measured]) -> str:
    """Return the ``info`` of segment properties: length, ends and branch points."""
    rows = list(measured)
    columns = (
        ("length_um", "float32", [round(m.length, 3) for m in rows]),
        ("tips", "uint32", [m.tips for m in rows]),
        ("branch_points", "uint32", [m.branchings for m in rows]),
    )
    info = {
        "@type": "neuroglancer_segment_properties",
        "inline": {
            "ids": [str(m.component) for m in rows],
            "properties": [
                {"id": name, "type": "number", "data_type": dtype, "values": values}
                for name, dtype, values in columns
            ],
        },
    }
    return json.dumps(info, sort_keys=True) + "\n"


def skeleton_bytes(tree: ObjectTree) -> bytes:
    """Return a tree as one skeleton file.

    Numbers of vertices and edges, uint32; vertices (x, y, z), float32, nm; edges,
    uint32; radii, float32, nm. All little-endian.
    """
    children = np.flatnonzero(tree.parent >= 0)
    edges = np.stack([tree.parent[children], children], axis=1)
    vertices = tree.position[:, ::-1] * _NANOMETRES
    return b"".join(
        (
            struct.pack("<II", len(tree), len(edges)),
            np.ascontiguousarray(vertices, "<f4").tobytes(),
            np.ascontiguousarray(edges, "<u4").tobytes(),
            np.ascontiguousarray(tree.radius * _NANOMETRES, "<f4").tobytes(),
        )
    )
