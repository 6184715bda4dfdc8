"""Somata as a table, and as points for viewers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import MissingExtraError
from blockseg.io.output.atomic_files import replace_file
from blockseg.labelling.somata.annotations import PROPERTIES, write_annotations
from blockseg.labelling.tables import write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.io.output.provenance import Provenance

COLUMNS = {
    "soma": "number, by place",
    "z_um": "centre in µm from the origin of the source, voxel centres",
    "y_um": "centre",
    "x_um": "centre",
    "radius_um": "distance from the centre at which brightness has fallen to half, in µm",
    "brightness": "median grey level within 0.6 radii of the centre",
    "contrast": "the same above the median of the surroundings (1.5 to 2.2 radii)",
    "snr": "contrast over the noise SD of the run's background there",
    "roundness": "least over greatest curvature: 1 for a ball, 0 for a line or a sheet",
    "probability": "mean probability of the run within 0.6 radii: what it took for neurite",
    "object": "object of labels/components with most voxels within 1.2 radii; 0 for none",
}
"""Columns, and their meaning for people."""

TABLE, PARQUET, MEANING = "somata.csv", "somata.parquet", "somata.json"
POINTS, ANNOTATIONS = "somata-points.csv", "somata-neuroglancer"
FILES = (TABLE, PARQUET, MEANING, POINTS, ANNOTATIONS)
"""Files and folders in the folder of tables."""


def columns_of(
    rows: NDArray[np.void], place: NDArray[np.float64]
) -> Mapping[str, NDArray[Any]]:
    """Return the columns of the table.

    Parameters
    ----------
    rows
        Of :data:`~blockseg.labelling.somata.bodies.SOMA`.
    place
        Centres (n, 3), (z, y, x), in µm.
    """
    return {
        "soma": np.arange(1, len(rows) + 1),
        **{f"{axis}_um": place[:, number] for number, axis in enumerate("zyx")},
        "radius_um": rows["radius"],
        "brightness": rows["brightness"],
        "contrast": rows["contrast"],
        "snr": rows["contrast"] / rows["noise"],
        "roundness": rows["roundness"],
        "probability": rows["probability"],
        "object": rows["component"],
    }


def write_somata(
    folder: Path, columns: Mapping[str, NDArray[Any]], provenance: Provenance
) -> tuple[str, ...]:
    """Write the table and the points; return notes.

    Parameters
    ----------
    folder
        Made if missing.
    columns
        From :func:`columns_of`.
    provenance
        State of the run that they were made from.

    Raises
    ------
    NoSpaceError, OutputGoneError, VolumeError
        If one cannot be written.
    """
    folder.mkdir(exist_ok=True)
    place = np.stack([columns[f"{axis}_um"] for axis in "zyx"], axis=1)
    write_csv(folder / TABLE, COLUMNS, [columns])
    points = {
        "index": columns["soma"] - 1,
        **{f"axis-{axis}": place[:, axis] for axis in range(3)},
        "radius_um": columns["radius_um"],
    }
    write_csv(folder / POINTS, points, [points])
    numbers = np.stack([columns[name] for name in PROPERTIES], axis=1)
    write_annotations(folder / ANNOTATIONS, place, numbers)
    notes: tuple[str, ...] = ()
    try:
        from blockseg.labelling.parquet import write_parquet

        write_parquet(folder / PARQUET, [columns], provenance)
    except MissingExtraError as error:
        notes = (f"tables/{PARQUET} is not written: {error}",)
    said = {
        "somata": len(place),
        "columns": COLUMNS,
        "coordinates": "µm from the origin of the source, (z, y, x), at voxel centres",
        "made-from": provenance.to_plain(),
    }
    text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / MEANING, text.encode())
    return notes
