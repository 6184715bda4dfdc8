"""Tables and chart of regions, from the reports of blocks."""

from __future__ import annotations

import json
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
    fingerprint = job.record.fingerprint
    with Ledger.read(job.ledger, fingerprint) as ledger:

        def payloads(name: str) -> Iterator[bytes]:
            return (payload for _, payload in ledger.payloads(name))

        volumes = Volumes.sum(
            [
                Volumes.from_bytes(part)
                for name in (AtlasSizes.name, ImagedSizes.name)
                for part in payloads(name)
            ]
        )
        lengths = Lengths.sum(
            list(map(Lengths.from_bytes, payloads(RegionLengths.name)))
        )
        foreground = None
        if found.labels:
            foreground = joined_foreground(payloads(RegionVoxels.name))
    folder.mkdir(exist_ok=True)
    files = ["regions.csv", "regions.json"]
    somata = None
    if found.somata is not None:
        text, somata = somata_in(
            found.somata, found.atlas, found.names, found.transform
        )
        replace_file(folder / "somata.csv", text.encode())
        files.append("somata.csv")
    rows = region_rows(found.atlas, found.names, volumes, lengths, foreground, somata)
    table = to_csv(
        rows,
        parents=found.names.has_parents,
        mapped=found.transform is not None,
        labels=found.labels,
        somata=somata is not None,
    )
    replace_file(folder / "regions.csv", table.encode())
    total = int(lengths.units.sum()) * LENGTH_UNIT
    outside = sum(row.own.length_um for row in rows if row.region == 0)
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
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / "regions.json", text.encode())
    notes = tuple(_notes(found, rows, total, outside))
    title = f"{found.run.out.name}: {total / 1000:.4g} mm of axon"
    draw_regions(folder / "regions.png", rows, title)
    files.append("regions.png")
    with Ledger.open(job.ledger, fingerprint) as ledger:
        out = found.run.out
        ledger.written.put(
            "tables", [stored_file(out, f"{folder.name}/{name}") for name in files]
        )
    return rows, notes


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
    if not total:
        yield "the traces have no length: each is a single node"
