"""Tables of objects as CSV and, with pyarrow, Parquet, and their description."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import MissingExtraError
from blockseg.io.output.atomic_files import replace_file, replacing
from blockseg.labelling.pieces import CONTRAST_UNIT, SNR_UNIT
from blockseg.morphology.tube_length import length_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.io.output.provenance import Provenance

FOLDER = "tables"
"""Folder of the output in which tables lie."""

FILES = ("objects.csv", "objects.parquet", "objects.json")
"""Files in it."""

COLUMNS = {
    "id": "of labels/components; by the first voxel in C order",
    "voxels": "number of voxels",
    "volume_um3": "volume in µm³",
    "z_start": "bounding box in voxels of the output, half-open",
    "y_start": "bounding box",
    "x_start": "bounding box",
    "z_stop": "bounding box",
    "y_stop": "bounding box",
    "x_stop": "bounding box",
    "z_um": "centroid in µm from the origin of the source, voxel centres",
    "y_um": "centroid",
    "x_um": "centroid",
    "length_um": (
        "estimated length in µm: first intrinsic volume of the union of the convex hulls "
        "of the voxel centres in each 2x2x2 voxels; exact for thin lines of voxels, 4r for "
        "a ball of radius r"
    ),
    "probability": "mean probability of the voxels",
    "contrast": "mean grey level of the voxels above the run's background",
    "snr": "mean of the same over the background's noise SD where each voxel lies",
    "touches_border": "1 where the bounding box touches the border of the output",
    "clean": "1 where the object is in labels/foreground_clean",
}
"""Columns, and their meaning for people."""

_AT_ONCE = 2**16  # rows


@dataclass(frozen=True, slots=True)
class ObjectColumns:
    """Values of the columns of the table, from the sums over each object."""

    shape: Zyx
    """Voxels of the output."""

    space: Space
    """Voxel size and place of its first voxel."""

    noise: float | None
    """Noise SD of the run, in grey levels; None where the image was not looked at."""

    def lengths(self, rows: NDArray[np.void]) -> NDArray[np.float64]:
        """Return the estimated length of each object, in the unit of the space."""
        scaled: NDArray[np.float64] = rows["length"] * length_unit(
            self.space.voxel_size
        )
        return scaled

    def of(
        self, rows: NDArray[np.void], clean: NDArray[np.uint8], first: int
    ) -> Mapping[str, NDArray[Any]]:
        """Return the columns of some objects.

        Parameters
        ----------
        rows
            Rows of :data:`~blockseg.labelling.assigned.OBJECT`.
        clean
            1 for those that pass.
        first
            Id of the first of them.
        """
        voxels = rows["voxels"]
        unknown = np.full(len(rows), np.nan)
        metric = self.space.unit is not None
        size = np.array(self.space.voxel_size)
        centroid = self.space.translation + size * rows["places"] / voxels[:, None]
        contrast = snr = unknown
        if self.noise is not None:
            contrast = rows["contrast"] * (CONTRAST_UNIT * self.noise) / voxels
            snr = rows["snr"] * SNR_UNIT / voxels
        touches = (rows["start"] == 0) | (rows["stop"] == np.array(self.shape))
        boxes = {
            f"{axis}_{end}": rows[end][:, number]
            for end in ("start", "stop")
            for number, axis in enumerate("zyx")
        }
        return {
            "id": np.arange(first, first + len(rows)),
            "voxels": voxels,
            "volume_um3": voxels * float(np.prod(size)) if metric else unknown,
            **boxes,
            **{
                f"{axis}_um": centroid[:, number] if metric else unknown
                for number, axis in enumerate("zyx")
            },
            "length_um": self.lengths(rows) if metric else unknown,
            "probability": rows["probability"] / (255 * voxels),
            "contrast": contrast,
            "snr": snr,
            "touches_border": touches.any(axis=1).astype(np.int64),
            "clean": clean.astype(np.int64),
        }


def write_tables(
    folder: Path,
    objects: NDArray[np.void],
    clean: NDArray[np.uint8],
    columns: ObjectColumns,
    provenance: Provenance,
) -> tuple[str, ...]:
    """Write ``objects.csv``, ``objects.parquet`` and ``objects.json``; return notes.

    Parameters
    ----------
    folder
        Made if missing.
    objects
        Rows of :data:`~blockseg.labelling.assigned.OBJECT`, in the order of their ids.
    clean
        1 for those that pass.
    columns
        Makes columns of them.
    provenance
        State of the run that they were made from.

    Raises
    ------
    NoSpaceError, OutputGoneError, VolumeError
        If one cannot be written.
    """
    folder.mkdir(exist_ok=True)

    def parts() -> Iterator[Mapping[str, NDArray[Any]]]:
        for start in range(0, max(len(objects), 1), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rows, passing = np.asarray(objects[part]), np.asarray(clean[part])
            yield columns.of(rows, passing, start + 1)

    write_csv(folder / "objects.csv", COLUMNS, parts())
    notes: tuple[str, ...] = ()
    try:
        from blockseg.labelling.parquet import write_parquet

        write_parquet(folder / "objects.parquet", parts(), provenance)
    except MissingExtraError as error:
        notes = (f"tables/objects.parquet is not written: {error}",)
    said = {
        "objects": len(objects),
        "columns": COLUMNS,
        "coordinates": "µm from the origin of the source, (z, y, x), at voxel centres",
        "made-from": provenance.to_plain(),
    }
    text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / "objects.json", text.encode())
    return notes


def write_csv(
    path: Path,
    columns: Iterable[str],
    parts: Iterable[Mapping[str, NDArray[Any]]],
) -> None:
    """Write a table as CSV: numbers to seven digits, whole ones whole, nothing for NaN.

    Parameters
    ----------
    path
        File to write.
    columns
        Their names.
    parts
        Columns by name, the same in each.

    Raises
    ------
    NoSpaceError, OutputGoneError, VolumeError
        If it cannot be written.
    """
    with (
        replacing(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        file.write(",".join(columns) + "\n")
        for table in parts:
            file.writelines(_lines(table))


def _lines(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    texts = [
        values.astype(str).tolist() if values.dtype.kind in "iu" else _numbers(values)
        for values in table.values()
    ]
    for row in zip(*texts, strict=True):
        yield ",".join(row) + "\n"


def _numbers(values: NDArray[np.float64]) -> list[str]:
    """Return numbers to seven digits; nothing where there is none."""
    return ["" if math.isnan(value) else f"{value:.7g}" for value in values.tolist()]
