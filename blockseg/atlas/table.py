"""The table of regions: length, density, voxels and objects of each."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.path_pieces import LENGTH_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from blockseg.atlas.census import Foreground, Volumes
    from blockseg.atlas.lengths import Lengths
    from blockseg.atlas.names import RegionNames
    from blockseg.atlas.volume import AtlasSpec

MM3 = 1e9
"""µm³ in a mm³."""

OUTSIDE = "outside all regions"
"""Name of the region with id 0."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts of a region."""

    length_um: float = 0.0
    """Length of the traces, in µm of the atlas."""

    sample_length_um: float = 0.0
    """Length of the same traces as they lie in the sample, in µm."""

    voxels: int = 0
    """Foreground voxels of the segmentation."""

    objects: int = 0
    """Objects with a voxel in it."""

    somata: int = 0
    """Somata whose centre lies in it."""

    volume_mm3: float = 0.0
    """Volume of the region as far as it was imaged."""

    atlas_volume_mm3: float = 0.0
    """Volume of the whole region in the atlas."""

    @property
    def density(self) -> float | None:
        """Length by the volume that was imaged, in µm/mm³; None where none was."""
        return self.length_um / self.volume_mm3 if self.volume_mm3 > 0 else None


@dataclass(frozen=True, slots=True)
class RegionRow:
    """A row of the table."""

    region: int
    """Id, as the atlas says it."""

    name: str
    """Name."""

    acronym: str
    """Short name."""

    parent: int | None
    """Id of the region that it is part of."""

    own: Sums
    """Sums over the voxels of the atlas that have its id."""

    total: Sums
    """Sums over these and those of all regions that are part of it."""


def region_rows(
    atlas: AtlasSpec,
    names: RegionNames,
    volumes: Volumes,
    lengths: Lengths,
    foreground: Foreground | None,
    somata: Mapping[int, int] | None = None,
) -> tuple[RegionRow, ...]:
    """Return a row for each region of the atlas, and for those that these are part of.

    Parameters
    ----------
    atlas
        What its ids mean.
    names
        Of regions.
    volumes, lengths
        By region.
    foreground
        By region and object; None where there are no labels.
    somata
        By region; None where there is no table of them.

    Returns
    -------
    tuple of RegionRow
        In the order of the names, then by id; what lies outside of all regions is last.
    """
    length = dict(zip(lengths.key.tolist(), lengths.units.tolist(), strict=True))
    sample = dict(zip(lengths.key.tolist(), lengths.in_sample.tolist(), strict=True))
    size = dict(zip(volumes.region.tolist(), volumes.voxels.tolist(), strict=True))
    imaged = dict(zip(volumes.region.tolist(), volumes.imaged.tolist(), strict=True))
    voxels, objects = _by_region(foreground)
    bodies = somata or {}
    found = {*length, *size, *voxels, *bodies, 0}
    above = {one: _above(one, atlas, names) for one in found}
    every = sorted({name for line in above.values() for name in line})
    inside = {one: [a for a in found if one in above[a]] for one in every}
    unions = _unions(foreground, above) if names.has_parents else objects

    def sums(parts: Iterable[int], together: int) -> Sums:
        those = sorted(parts)

        def total(counts: Mapping[int, float]) -> float:
            return sum(counts.get(one, 0) for one in those)

        return Sums(
            total(length) * LENGTH_UNIT,
            total(sample) * LENGTH_UNIT,
            int(total(voxels)),
            together,
            int(total(bodies)),
            total(imaged) / MM3,
            total(size) * atlas.voxel_volume / MM3,
        )

    order = {one: place for place, one in enumerate(names.regions)}
    rows = []
    for one in sorted(
        every, key=lambda one: (one == 0, order.get(atlas.said(one), len(order)), one)
    ):
        said = atlas.said(one)
        known = names.of(said)
        rows.append(
            RegionRow(
                said,
                known.name if one or said in names.regions else OUTSIDE,
                known.acronym,
                known.parent,
                sums((one,), objects.get(one, 0)),
                sums(inside[one], unions.get(one, 0)),
            )
        )
    return tuple(rows)


def _above(region: int, atlas: AtlasSpec, names: RegionNames) -> tuple[int, ...]:
    """Return a region and those that it is part of."""
    if region == 0:
        return (0,)
    said = (atlas.kept(one) for one in names.ancestors(atlas.said(region)))
    return tuple(one for one in said if one is not None)


def _by_region(found: Foreground | None) -> tuple[dict[int, int], dict[int, int]]:
    """Return foreground voxels and objects of each region."""
    if found is None or not len(found.region):
        return {}, {}
    region, first, objects = np.unique(
        found.region, return_index=True, return_counts=True
    )
    voxels = np.add.reduceat(found.voxels, first)
    keys = region.tolist()
    return (
        dict(zip(keys, voxels.tolist(), strict=True)),
        dict(zip(keys, objects.tolist(), strict=True)),
    )


def _unions(
    found: Foreground | None, above: Mapping[int, tuple[int, ...]]
) -> dict[int, int]:
    """Return the number of objects in each region including its parts."""
    if found is None:
        return {}
    region, first = np.unique(found.region, return_index=True)
    ends = np.append(first[1:], len(found.region))
    parts: dict[int, list[tuple[int, int]]] = {}
    for one, a, b in zip(region.tolist(), first.tolist(), ends.tolist(), strict=True):
        for outer in above[one]:
            parts.setdefault(outer, []).append((a, b))
    return {
        outer: spans[0][1] - spans[0][0]
        if len(spans) == 1
        else len(np.unique(np.concatenate([found.item[a:b] for a, b in spans])))
        for outer, spans in parts.items()
    }


def to_csv(
    rows: Iterable[RegionRow],
    *,
    parents: bool,
    mapped: bool,
    labels: bool,
    somata: bool = False,
) -> str:
    """Return the table as CSV.

    Parameters
    ----------
    rows
        The rows.
    parents
        Whether to give sums with all parts, in columns that begin with ``total_``.
    mapped
        Whether the sample lies in another space than the atlas, so that lengths in the
        sample are others.
    labels
        Whether voxels and objects were counted.
    somata
        Whether somata were.
    """
    left_out = {
        *(() if mapped else ("sample_length_um",)),
        *(() if labels else ("voxels", "objects")),
        *(() if somata else ("somata",)),
    }
    names = [item.name for item in fields(Sums) if item.name not in left_out]
    names.insert(1, "density_um_per_mm3")
    head = ["region", "acronym", "name", "parent", *names]
    head += [f"total_{name}" for name in names if parents]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    for row in rows:
        line: list[object] = [row.region, row.acronym, row.name]
        line.append("" if row.parent is None else row.parent)
        line += [_cell(row.own, name) for name in names]
        if parents:
            line += [_cell(row.total, name) for name in names]
        table.writerow(line)
    return text.getvalue()


def _cell(sums: Sums, name: str) -> object:
    value = sums.density if name == "density_um_per_mm3" else getattr(sums, name)
    if value is None:
        return ""
    return value if isinstance(value, int) else f"{value:.9g}"
