"""Objects and traces of a run, where they were made, for its report."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, TextIO

import numpy as np

from blockseg.io.stores.location import RemotePath
from blockseg.reports.charts import distribution
from blockseg.reports.page import charts, headline, section, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.io.stores.location import Location

_TABLE, _TRACES = "tables/objects.csv", "traces/objects.csv"
_MOST = 500_000  # rows that are read


def objects_section(out: Location) -> str:
    """Return lengths and SNR of objects and of traces; nothing without either."""
    return section("Objects", _objects(out / _TABLE), _traces(out / _TRACES))


def _lines_of(path: Location) -> TextIO:
    if isinstance(path, RemotePath):
        return io.TextIOWrapper(path.open(), "utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _objects(path: Location) -> str:
    columns, whole = _columns(path, ("length_um", "voxels", "snr", "clean"))
    if not columns:
        return ""
    length, voxels, snr, clean = columns
    passed = clean > 0
    figures = [
        (f"{len(clean):,}{'' if whole else '+'}", "objects"),
        (f"{int(passed.sum()):,}", "of them clean"),
    ]
    metric = np.isfinite(length).any()
    if metric:
        total = float(np.nansum(length[passed])) / 1000
        figures.append((f"{total:.4g} mm", "length of the clean ones, estimated"))
    measured, unit = (length, "µm") if metric else (voxels, "")
    drawn = (
        distribution(
            "estimated length" if metric else "voxels",
            [("clean", measured[passed]), ("others", measured[~passed])],
            unit=unit,
        ),
        distribution("SNR of an object", [("clean", snr[passed])], unit=""),
    )
    return _first(path, whole=whole) + headline(figures) + charts(drawn)


def _traces(path: Location) -> str:
    columns, whole = _columns(path, ("length_um", "tips", "branch_points"))
    if not columns:
        return ""
    length, tips, branches = columns
    figures = [
        (f"{float(np.nansum(length)) / 1000:.4g} mm", "length of the lines"),
        (f"{int(np.nansum(tips)):,}", "ends"),
        (f"{int(np.nansum(branches)):,}", "branch points"),
    ]
    drawn = distribution("length of an object's lines", [("traced", length)], unit="µm")
    told = _first(path, whole=whole) + headline(figures)
    return "<h3>Traces</h3>" + told + charts([drawn])


def _first(path: Location, *, whole: bool) -> str:
    if whole:
        return ""
    return f"<p class='soft'>Of the first {_MOST:,} rows of {text(path.name)}.</p>"


def _columns(
    path: Location, names: Sequence[str]
) -> tuple[list[NDArray[np.float64]], bool]:
    """Return columns of a table, NaN where empty, and whether all rows were read.

    There are none where there is no table, or no rows, or it lacks one of them.
    """
    try:
        with _lines_of(path) as file:
            lines = csv.reader(file)
            head = next(lines, [])
            if not set(names) <= set(head):
                return [], True
            places = [head.index(name) for name in names]
            rows = [
                [float(line[n] or "nan") for n in places]
                for line, _ in zip(lines, range(_MOST), strict=False)
            ]
            whole = len(rows) < _MOST
    except FileNotFoundError:
        return [], True
    return list(np.array(rows, np.float64).T) if rows else [], whole
