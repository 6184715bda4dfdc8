"""Bar chart of regions, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.io.output.atomic_files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blockseg.atlas.table import RegionRow

SHOWN = 25
"""Regions that are drawn, those with the greatest length."""


def draw_regions(path: Path, rows: Sequence[RegionRow], title: str) -> None:
    """Draw length and density of the regions with the greatest length, as a picture.

    Parameters
    ----------
    path
        PNG or SVG to write.
    rows
        All regions; those without length are not drawn, nor is what lies outside of all.
    title
        Line above the chart.

    Raises
    ------
    VolumeError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.region and row.own.length_um > 0]
    shown.sort(key=lambda row: (-row.own.length_um, row.region))
    left_out = len(shown) - SHOWN
    shown = shown[:SHOWN]
    figure = Figure(figsize=(9, 1.6 + 0.26 * max(len(shown), 3)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    lengths, densities = figure.subplots(1, 2, sharey=True)
    places = range(len(shown))
    lengths.barh(places, [row.own.length_um / 1000 for row in shown], color="#4477aa")
    densities.barh(
        places, [(row.own.density or 0.0) / 1000 for row in shown], color="#cc6677"
    )
    lengths.set_yticks(list(places), [_label(row) for row in shown])
    lengths.invert_yaxis()
    lengths.set_xlabel("axon length [mm]")
    densities.set_xlabel("axon density [mm/mm³]")
    for axes in (lengths, densities):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    more = f"; {left_out} more regions in the table" if left_out > 0 else ""
    figure.suptitle(f"{title}{more}", fontsize=10)
    with replacing(path) as part:
        # The name of the part says nothing of the format; no date: the same bytes again.
        canvas.print_figure(
            part,
            format=path.suffix[1:] or "png",
            dpi=120,
            metadata={"Software": None} if path.suffix != ".svg" else {"Date": None},
        )


def _label(row: RegionRow) -> str:
    name = row.acronym or row.name
    return name if len(name) <= 28 else f"{name[:27]}…"
