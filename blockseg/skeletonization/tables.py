"""Tables and descriptions of traces, made from the reports of blocks."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from blockseg.io.output.atomic_files import replacing
from blockseg.skeletonization.traces import COLUMNS, NEUROGLANCER, SWC
from blockseg.skeletons.precomputed import Measured, info_json, properties_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from blockseg.io.output.provenance import Provenance
    from blockseg.skeletons.shards import Sharding
    from blockseg.skeletons.swc_text import TraceHeader

FILES = frozenset({SWC, NEUROGLANCER, "objects.csv", "objects.parquet", "traces.json"})
"""Contents of a folder of traces."""

_PROPERTIES = "segment_properties"


@dataclass(frozen=True, slots=True)
class Traced:
    """Sums over all objects."""

    objects: int = 0
    """Objects with a line."""

    written: int = 0
    """Those that are long enough to be written."""

    length: float = 0.0
    """Length of all lines, in µm."""

    written_length: float = 0.0
    """Length of those that are written, in µm."""


def write_tables(
    folder: Path,
    rows: Iterable[bytes],
    header: TraceHeader,
    provenance: Provenance,
    min_length: float,
    sharding: Sharding | None,
) -> tuple[list[Path], Traced]:
    """Write ``objects.csv``, its copy as Parquet, and descriptions; return their paths.

    Parameters
    ----------
    folder
        Of the traces.
    rows
        Of the table, in parts, objects by rising id.
    header
        What the numbers mean.
    provenance
        What the traces were made from.
    min_length
        Least length of what is written, in µm.
    sharding
        Which skeletons share a file of the layer; None where each has its own.

    Raises
    ------
    VolumeError
        If one cannot be written.
    """
    table = folder / "objects.csv"
    with replacing(table) as part:
        folder.mkdir(exist_ok=True)
        with part.open("wb") as file:
            file.write(f"{COLUMNS}\n".encode())
            for some in rows:
                file.write(some)
    paths = [table]
    if find_spec("pyarrow") is not None:
        paths.append(_parquet(table))
    traced, measured = Traced(), []
    for row in _rows(table):
        length, written = float(row["length_um"]), bool(row["swc"])
        traced = Traced(
            traced.objects + 1,
            traced.written + written,
            traced.length + length,
            traced.written_length + length * written,
        )
        if written:
            measured.append(
                Measured(
                    int(row["object"]),
                    length,
                    int(row["tips"]),
                    int(row["branch_points"]),
                )
            )
    layer = folder / NEUROGLANCER
    said = {
        layer / "info": info_json(_PROPERTIES, sharding),
        layer / _PROPERTIES / "info": properties_json(measured),
        folder / "traces.json": _description(header, provenance, min_length, traced),
    }
    for path, text in said.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    return [*paths, *said], traced


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _parquet(table: Path) -> Path:
    """Copy a table, a part at a time."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    whole = {"object", "tips", "branch_points", "nodes"}
    types = {
        name: pa.int64() if name in whole else pa.float64()
        for name in COLUMNS.split(",")
    } | {"swc": pa.string()}
    path = table.with_suffix(".parquet")
    how = arrow_csv.ConvertOptions(column_types=types)
    with replacing(path) as part:
        if table.stat().st_size == len(COLUMNS) + 1:  # which Arrow calls empty
            empty = {name: pa.array([], of) for name, of in types.items()}
            parquet.write_table(pa.table(empty), part)
            return path
        with (
            arrow_csv.open_csv(table, convert_options=how) as reader,
            parquet.ParquetWriter(part, reader.schema) as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
    return path


def _description(
    header: TraceHeader, provenance: Provenance, min_length: float, traced: Traced
) -> str:
    axes = ("z", "y", "x")
    said = {
        "units": "micrometer",
        "coordinates": (
            "from the origin of the source; a voxel stands for its centre; SWC has "
            "x y z, objects.csv says its axes, Neuroglancer has x y z in nanometres"
        ),
        "source": header.source,
        "voxel_size": dict(zip(axes, header.voxel_size, strict=True)),
        "first_voxel": dict(zip(axes, header.translation, strict=True)),
        "made_from": {"image": header.made_from, **provenance.to_plain()},
        "min_length_um": min_length,
        "objects": traced.objects,
        "objects_written": traced.written,
        "length_um": round(traced.length, 3),
        "length_written_um": round(traced.written_length, 3),
        "files": {
            "swc": f"{SWC}/OBJECT.swc",
            "neuroglancer": f"precomputed://…/{NEUROGLANCER}",
            "table": "objects.csv",
        },
    }
    text = io.StringIO()
    json.dump(said, text, indent=1, ensure_ascii=False)
    return text.getvalue() + "\n"
