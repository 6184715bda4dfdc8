"""Points of picks for viewers: Neuroglancer and napari."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.space import Space
    from blockseg.proposals.manifest import ManifestRow

_METRES = 1e-6


def neuroglancer_points(rows: Sequence[ManifestRow], space: Space) -> str:
    """Return a state of Neuroglancer with a box for each pick, as JSON.

    Coordinates are voxels of the source, in the order z, y, x, counted from the origin of
    its space; the dimensions carry the voxel size.

    Parameters
    ----------
    rows
        Picks of a manifest.
    space
        Voxel size and place of the source.
    """
    unit = ("m", _METRES) if space.unit else ("", 1.0)
    dimensions = {
        axis: [size * unit[1], unit[0]]
        for axis, size in zip("zyx", space.voxel_size, strict=True)
    }
    layer: dict[str, Any] = {
        "type": "annotation",
        "name": "picks",
        "source": {
            "url": "local://annotations",
            "transform": {"outputDimensions": dimensions},
        },
        "annotationColor": "#ffcc00",
        "annotations": [
            {
                "type": "axis_aligned_bounding_box",
                "id": row.name,
                "description": f"{row.rank}: {row.reason}",
                "pointA": _shifted(row, space, 0.0),
                "pointB": _shifted(row, space, 1.0),
            }
            for row in rows
        ],
    }
    state: dict[str, Any] = {"dimensions": dimensions, "layers": [layer]}
    if rows:
        state["position"] = _shifted(rows[0], space, 0.5)
    return json.dumps(state, indent=1) + "\n"


def napari_points(rows: Sequence[ManifestRow]) -> str:
    """Return the centres of picks as a points layer of napari, CSV, in voxels."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", "axis-0", "axis-1", "axis-2"])
    for number, row in enumerate(rows):
        # napari counts from the centre of the first voxel.
        box = row.box
        centre = [a + (n - 1) / 2 for a, n in zip(box.start, box.shape, strict=True)]
        writer.writerow([number, *centre])
    return text.getvalue()


def _shifted(row: ManifestRow, space: Space, share: float) -> list[float]:
    """Return where a share of a pick's length lies on each axis."""
    places = zip(
        row.box.start,
        row.box.shape,
        space.translation,
        space.voxel_size,
        strict=True,
    )
    return [start + share * n + offset / size for start, n, offset, size in places]
