"""Somata, or other points of a table, in the regions of an atlas."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.untrusted.files import TABLE_BYTES, read_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.atlas.names import RegionNames
    from blockseg.atlas.transform import Transform
    from blockseg.atlas.volume import AtlasSpec

_PLACE = ("z_um", "y_um", "x_um")
_FARTHEST = 1e15  # µm; a place that is no number is not nearer
_ADDED = ("atlas_z_um", "atlas_y_um", "atlas_x_um", "region", "region_name")


@dataclass(frozen=True, slots=True, eq=False)
class Somata:
    """A table with a row a soma."""

    columns: tuple[str, ...]
    """Names of its columns."""

    rows: tuple[tuple[str, ...], ...]
    """Its rows as they are."""

    position: NDArray[np.float64]
    """Places in µm of the source, (n, 3), (z, y, x)."""


def read_somata(path: Path) -> Somata:
    """Read a table of points: CSV with the columns z_um, y_um and x_um, and any others.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ConfigError
        If it cannot be read; names the line.
    """
    try:
        text = read_text(path, TABLE_BYTES, encoding="utf-8-sig")
        return _somata_in(text, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        message = f"--somata {path} cannot be read: {why}"
        raise ConfigError(message) from error


def _somata_in(text: str, path: Path) -> Somata:
    table = csv.reader(io.StringIO(text, newline=""))
    columns = tuple(name.strip() for name in next(table, []))
    missing = [name for name in _PLACE if name not in columns]
    if missing:
        message = (
            f"--somata {path} lacks the columns {', '.join(missing)}; it needs places in "
            "µm of the source"
        )
        raise ConfigError(message)
    at = [columns.index(name) for name in _PLACE]
    rows, position = [], []
    for row in filter(None, table):  # without blank lines
        try:
            place = [float(row[column]) for column in at]
        except (ValueError, IndexError):
            place = []
        near = len(place) == 3 and all(abs(one) <= _FARTHEST for one in place)
        if not near or len(row) != len(columns):
            message = (
                f"--somata {path}, line {table.line_num}: expected {len(columns)} cells "
                f"with numbers for {', '.join(_PLACE)}, not {','.join(row)[:60]!r}"
            )
            raise ConfigError(message)
        rows.append(tuple(row))
        position.append(place)
    return Somata(columns, tuple(rows), np.array(position, float).reshape(-1, 3))


def somata_in(
    somata: Somata, atlas: AtlasSpec, names: RegionNames, transform: Transform | None
) -> tuple[str, dict[int, int]]:
    """Return the table with the place and the region of each soma in an atlas.

    Parameters
    ----------
    somata
        In µm of the source.
    atlas, names
        The regions.
    transform
        Way to the atlas; None where both are in the same space.

    Returns
    -------
    table : str
        As CSV: the columns that it had, then place in µm of the atlas, id and name.
    counts : dict
        Somata of each region.
    """
    place = somata.position
    if transform is not None and len(place):
        place = transform.open()(place)
    found = atlas.open().at(place).tolist()
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*somata.columns, *_ADDED])
    for row, there, region in zip(somata.rows, place.tolist(), found, strict=True):
        said = atlas.said(region)
        name = names.of(said).name if region else ""
        table.writerow([*row, *(f"{value:.3f}" for value in there), said, name])
    return text.getvalue(), dict(Counter(found))
