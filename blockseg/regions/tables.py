"""Tables and chart of regions, from the reports of blocks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from blockseg.atlas.census import Volumes
from blockseg.atlas.chart import draw_regions
from blockseg.atlas.lengths import Lengths
from blockseg.atlas.table import region_rows, to_csv
from blockseg.core.text import counted
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.written_files import stored_file
from blockseg.morphology.path_pieces import LENGTH_UNIT
from blockseg.regions.somata import somata_in
from blockseg.regions.tasks import (
    AtlasSizes,
    ImagedSizes,
    RegionLengths,
    RegionVoxels,
    joined_foreground,
)
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blockseg.atlas.census import Foreground
    from blockseg.atlas.table import RegionRow
    from blockseg.blockwise.job import Job
    from blockseg.regions.inputs import RegionInputs


def write_tables(
    job: Job, found: RegionInputs, folder: Path
) -> tuple[tuple[RegionRow, ...], tuple[str, ...]]:
    """Write table, chart and totals of a finished count, and enter them in its ledger.

    Parameters
    ----------
    job
        The count.
    found
        What was counted.
    folder
        Where they go, in the output.

    Returns
    -------
    The rows of the table, and notes for the user, a line each.

    Raises
    ------
    VolumeError
        If they cannot be written.
    """
    counts = _Counts.read(job, labels=found.labels)
    texts: dict[str, str] = {}
    somata = None
    if found.somata is not None:
        texts["somata.csv"], somata = somata_in(
            found.somata, found.atlas, found.names, found.transform
        )
    rows = region_rows(
        found.atlas,
        found.names,
        counts.volumes,
        counts.lengths,
        counts.foreground,
        somata,
    )
    texts["regions.csv"] = to_csv(
        rows,
        parents=found.names.has_parents,
        mapped=found.transform is not None,
        labels=found.labels,
        somata=somata is not None,
    )
    total = int(counts.lengths.units.sum()) * LENGTH_UNIT
    outside = sum(row.own.length_um for row in rows if row.region == 0)
    texts["regions.json"] = _about(found, total, outside)
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        replace_file(folder / name, text.encode())
    title = f"{found.run.out.name}: {total / 1000:.4g} mm of axon"
    draw_regions(folder / "regions.png", rows, title)
    files = [
        stored_file(found.run.out, f"{folder.name}/{name}")
        for name in (*texts, "regions.png")
    ]
    with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
        ledger.written.put("tables", files)
    return rows, tuple(_notes(found, rows, total, outside))


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Sums over what blocks reported."""

    volumes: Volumes
    lengths: Lengths
    foreground: Foreground | None

    @classmethod
    def read(cls, job: Job, *, labels: bool) -> _Counts:
        """Add up the reports in the ledger; foreground where labels are counted."""
        with Ledger.read(job.ledger, job.record.fingerprint) as ledger:

            def payloads(name: str) -> Iterator[bytes]:
                return (payload for _, payload in ledger.payloads(name))

            sizes = chain(payloads(AtlasSizes.name), payloads(ImagedSizes.name))
            return cls(
                Volumes.sum([Volumes.from_bytes(part) for part in sizes]),
                Lengths.sum(
                    [Lengths.from_bytes(part) for part in payloads(RegionLengths.name)]
                ),
                joined_foreground(payloads(RegionVoxels.name)) if labels else None,
            )


def _about(found: RegionInputs, total: float, outside: float) -> str:
    """Return totals, units and provenance of the table as JSON."""
    about = {
        "made_by": "blockseg regions",
        "space": "of the atlas" if found.transform is not None else "of the source",
        "units": {
            "length_um": "µm of traced neurite",
            "density_um_per_mm3": "length_um by volume_mm3",
            "volume_mm3": "volume of the region inside the segmented image",
        },
        "length_um": round(total, 3),
        "length_outside_all_regions_um": round(outside, 3),
        "traces": len(found.traces.names),
        "provenance": found.provenance.to_plain(),
    }
    return json.dumps(about, indent=2, ensure_ascii=False) + "\n"


def _notes(
    found: RegionInputs, rows: tuple[RegionRow, ...], total: float, outside: float
) -> Iterator[str]:
    if total and outside / total > 0.01:
        yield f"{100 * outside / total:.3g} % of the length lies outside all regions"
    nameless = [
        row.region
        for row in rows
        if row.region and row.region not in found.names.regions
    ]
    if nameless and found.names.regions:
        some = ", ".join(map(str, nameless[:5])) + ", …" * (len(nameless) > 5)
        yield f"{counted(len(nameless), 'region')} of the atlas without a name: {some}"
        rounded = found.names.rounded()
        region = max(nameless, key=lambda one: len(rounded.get(one, ())))
        if ids := rounded.get(region):
            merged = ", ".join(map(str, ids[:3])) + ", …" * (len(ids) > 3)
            yield (
                f"ids of the atlas were rounded to float32, which made {region} of {merged}; "
                "warp or copy its annotation again, as whole numbers"
            )
    if not total:
        yield "the traces have no length: each is a single node"
