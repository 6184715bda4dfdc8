"""Names of the regions of an atlas, and their hierarchy."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.untrusted.files import TABLE_BYTES, read_text

_COLUMNS = {
    "id": ("id", "region", "label", "index", "structure_id"),
    "name": ("name", "safe_name", "region_name", "label_name"),
    "acronym": ("acronym", "abbreviation"),
    "parent": ("parent_structure_id", "parent", "parent_id"),
}


@dataclass(frozen=True, slots=True)
class Region:
    """A region as a table of names has it."""

    region: int
    """Id."""

    name: str
    """Name."""

    acronym: str = ""
    """Short name; empty if there is none."""

    parent: int | None = None
    """Id of the region that it is part of; None if it is part of none."""


@dataclass(frozen=True, slots=True)
class RegionNames:
    """All regions that have a name, in the order of their table."""

    regions: dict[int, Region] = field(default_factory=dict)
    """By id."""

    def of(self, region: int) -> Region:
        """Return a region; one without a name is called by its number."""
        return self.regions.get(region, Region(region, f"region {region}"))

    @property
    def has_parents(self) -> bool:
        """Whether regions are parts of others."""
        return any(one.parent is not None for one in self.regions.values())

    def ancestors(self, region: int) -> tuple[int, ...]:
        """Return the region itself and those that it is part of, outwards."""
        found = [region]
        while (parent := self.of(found[-1]).parent) is not None:
            found.append(parent)
        return tuple(found)

    def rounded(self) -> dict[int, tuple[int, ...]]:
        """Return the numbers without a name that float32 makes of ids, with those ids."""
        found: dict[int, tuple[int, ...]] = {}
        for one in self.regions:
            number = int(np.float32(one))
            if number not in self.regions:
                found[number] = (*found.get(number, ()), one)
        return found


def read_names(path: str | None) -> RegionNames:
    """Read a table of names: CSV with the columns id and name, and more.

    ``acronym`` and ``parent_structure_id`` (or ``parent``) are read where they are there:
    the columns of BrainGlobe's ``structures.csv`` and of the Allen Institute's tables;
    a parent that is missing there may be told by ``structure_id_path``.

    Parameters
    ----------
    path
        The file; None for no names.

    Raises
    ------
    ConfigError
        If it cannot be read, with the line.
    """
    if path is None:
        return RegionNames()
    try:
        text = read_text(Path(path).expanduser(), TABLE_BYTES, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        message = f"--names {path} cannot be read: {why}"
        raise ConfigError(message) from error
    if "\0" in text:
        message = f"--names {path} holds zero bytes: it is no text"
        raise ConfigError(message)
    try:
        return _names_in(text, path)
    except csv.Error as error:
        message = f"--names {path} is no CSV: {error}"
        raise ConfigError(message) from error


def _names_in(text: str, path: str) -> RegionNames:
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    head = {name.strip().lower(): name for name in rows.fieldnames or () if name}
    columns = {
        what: next((head[name] for name in names if name in head), None)
        for what, names in _COLUMNS.items()
    }
    if columns["id"] is None or columns["name"] is None:
        message = (
            f"--names {path} has the columns {', '.join(head) or '(none)'}; it needs id "
            "and name, and may have acronym and parent_structure_id"
        )
        raise ConfigError(message)
    regions: dict[int, Region] = {}
    for row in rows:
        region = _region(
            row, columns, head.get("structure_id_path"), path, rows.line_num
        )
        if region.region in regions:
            message = (
                f"--names {path}, line {rows.line_num} gives the id {region.region} a "
                "second time; every id must be unique"
            )
            raise ConfigError(message)
        regions[region.region] = region
    if not regions:
        message = f"--names {path} names no region"
        raise ConfigError(message)
    _refuse_cycles(regions, path)
    return RegionNames(regions)


def _region(
    row: dict[str, str],
    columns: dict[str, str | None],
    path_column: str | None,
    path: str,
    line: int,
) -> Region:
    def cell(name: str | None) -> str:
        return "" if name is None else (row.get(name) or "").strip()

    try:
        number = _whole(cell(columns["id"]))
        parent = cell(columns["parent"])
        above = None if parent.lower() in ("", "nan", "none") else _whole(parent)
    except ValueError:
        shown = ",".join(str(value) for value in row.values())[:60]
        message = (
            f"--names {path}, line {line}: ids and parents must be whole numbers: "
            f"{shown!r}"
        )
        raise ConfigError(message) from None
    way = [part for part in cell(path_column).split("/") if part]
    if above is None and len(way) > 1 and way[-2].isdigit():
        above = int(way[-2])
    name = cell(columns["name"]) or f"region {number}"
    return Region(number, name, cell(columns["acronym"]), above)


def _whole(text: str) -> int:
    """Return a whole number; pandas writes those of a column with gaps as 997.0."""
    number = int(text.removesuffix(".0"))
    if not -(2**63) <= number < 2**64:
        message = f"{text} is no id of an atlas"
        raise ValueError(message)
    return number


def _refuse_cycles(regions: dict[int, Region], path: str) -> None:
    settled: set[int] = set()
    for first in regions:
        seen: dict[int, None] = {}
        region: int | None = first
        while region in regions and region not in settled:
            if region in seen:
                message = (
                    f"--names {path}: region {region} is part of itself, by way of its "
                    "parents; correct the parents"
                )
                raise ConfigError(message)
            seen[region] = None
            region = regions[region].parent
        settled.update(seen)
