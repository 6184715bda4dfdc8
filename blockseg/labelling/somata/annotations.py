"""Somata as a layer of annotations in Neuroglancer's precomputed format, an ellipsoid each.

Format: google/neuroglancer, src/datasource/precomputed/annotations.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from blockseg.io.output.atomic_files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PROPERTIES = ("radius_um", "brightness", "contrast", "snr", "probability")
"""Numbers that come with each, by which Neuroglancer sorts and colours."""

_METRES = 1e-6  # in a µm


def write_annotations(
    folder: Path, place: NDArray[np.float64], numbers: NDArray[np.float64]
) -> None:
    """Write a layer: all annotations in one file of a spatial index, and each by its id.

    Parameters
    ----------
    folder
        Takes it; made if missing.
    place
        Centres (n, 3), (z, y, x), in µm; ids are 1, 2, 3, … in their order.
    numbers
        (n, len(PROPERTIES)); the first is the radius.

    Raises
    ------
    NoSpaceError, OutputGoneError, VolumeError
        If a file cannot be written.
    """
    for one in (folder, folder / "spatial0", folder / "by_id"):
        one.mkdir(exist_ok=True)
    radius = np.repeat(numbers[:, :1], 3, axis=1)
    rows = np.concatenate([place[:, ::-1], radius, numbers], axis=1).astype("<f4")
    ids = np.arange(1, len(rows) + 1, dtype="<u8")
    count = np.array([len(rows)], "<u8")
    packed = count.tobytes() + rows.tobytes() + ids.tobytes()
    replace_file(folder / "spatial0" / "0_0_0", packed)
    for number, row in zip(ids.tolist(), rows, strict=True):
        replace_file(folder / "by_id" / str(number), row.tobytes())
    replace_file(folder / "info", _info(rows[:, :6]).encode())


def _info(bodies: NDArray[np.float32]) -> str:
    low, high = [0.0] * 3, [1.0] * 3
    if len(bodies):
        low = (bodies[:, :3] - bodies[:, 3:]).min(axis=0).astype(float).tolist()
        high = (bodies[:, :3] + bodies[:, 3:]).max(axis=0).astype(float).tolist()
    extent = [max(b - a, 1.0) for a, b in zip(low, high, strict=True)]
    info = {
        "@type": "neuroglancer_annotations_v1",
        "dimensions": {axis: [_METRES, "m"] for axis in "xyz"},
        "lower_bound": low,
        "upper_bound": [a + n for a, n in zip(low, extent, strict=True)],
        "annotation_type": "ELLIPSOID",
        "properties": [{"id": name, "type": "float32"} for name in PROPERTIES],
        "relationships": [],
        "by_id": {"key": "by_id"},
        "spatial": [
            {
                "key": "spatial0",
                "grid_shape": [1, 1, 1],
                "chunk_size": extent,
                "limit": max(len(bodies), 1),
            }
        ],
    }
    return json.dumps(info, indent=1) + "\n"
