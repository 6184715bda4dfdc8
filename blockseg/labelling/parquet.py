"""Tables as Parquet, by pyarrow: the extra ``objects``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import MissingExtraError
from blockseg.io.output.atomic_files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.io.output.provenance import Provenance


def write_parquet(
    path: Path,
    parts: Iterable[Mapping[str, NDArray[Any]]],
    provenance: Provenance,
) -> None:
    """Write a table, part after part; NaN becomes no value.

    Parameters
    ----------
    path
        File to write.
    parts
        Columns by name, the same in each; at least one part, which may be empty.
    provenance
        Kept in the metadata, under ``blockseg``.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    NoSpaceError, OutputGoneError, VolumeError
        If the file cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        what = "pyarrow, which writes Parquet,"
        raise MissingExtraError(what, "objects") from error
    writer = None
    with replacing(path) as beside:
        try:
            for part in parts:
                table = pa.table(
                    {
                        name: pa.array(np.ascontiguousarray(values), from_pandas=True)
                        for name, values in part.items()
                    }
                )
                if writer is None:
                    known = {"blockseg": provenance.to_text()}
                    schema = table.schema.with_metadata(known)
                    writer = parquet.ParquetWriter(beside, schema)
                writer.write_table(table.cast(schema))
        finally:
            if writer is not None:
                writer.close()
