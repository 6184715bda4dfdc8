"""``PICKS/report.html``: every pick with pictures and metrics, in one file."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.io.output.picture import png_uri
from blockseg.reports.curves import Axis, scatter
from blockseg.reports.page import charts, command, listed, page, section, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from blockseg.proposals.manifest import ManifestRow
    from blockseg.proposals.map import BrainMap

_STYLE = """
body { max-width: 1280px; }
.picks td, .picks th { text-align: right; padding-right: .7em; white-space: nowrap; }
.picks td { font-variant-numeric: tabular-nums; }
.picks td.t, .picks th.t { text-align: left; white-space: normal; min-width: 14em; }
.picks th.p { text-align: left; }
.picks td.t small { color: var(--soft); display: block; }
.picks tr:target { background: var(--tint); }
.picks td img { display: block; width: 112px; height: auto; background: #000;
                image-rendering: pixelated; }
.place { position: relative; width: 112px; background: #111 center/100% 100% no-repeat;
         image-rendering: pixelated; print-color-adjust: exact; }
.place i { position: absolute; border: 2px solid #ffcc00; box-sizing: border-box;
           min-width: 7px; min-height: 7px; }
"""

_KINDS = {
    "name and reason": " class=t",
    **dict.fromkeys(("image", "label", "place"), " class=p"),
}
_COLUMNS = (
    ("hardness", "hardness", "{:.2f}"),
    ("low_snr", "L", "{:.3f}"),
    ("entropy", "U", "{:.3f}"),
    ("fragmentation", "G", "{:.2f}"),
    ("density", "D", "{:.3f}"),
    ("level", "m", "{:.1f}"),
    ("sd", "s", "{:.2f}"),
    ("snr_50", "SNR", "{:.1f}"),
    ("foreground", "|F|", "{:,.0f}"),
    ("foreground_plus", "|F⁺|", "{:,.0f}"),
    ("saturated", "saturated", "{:.2g}"),
    ("region", "region", "{}"),
)
_MEANING = (
    "L: share of F⁺ with a low SNR; U: mean entropy on F⁺, in bits; G: fragments per 100 "
    "voxels of skeleton; D: signal density; m, s: level and noise SD of the background, in "
    "grey levels; SNR: median of F⁺; |F|, |F⁺|: voxels."
)
_AXES = {
    "low_snr": ("low-SNR ratio L", False),
    "entropy": ("entropy U, bits", False),
    "fragmentation": ("fragmentation G", True),
    "density": ("signal density D", True),
    "level": ("background m, grey levels", False),
    "sd": ("noise SD s, grey levels", False),
}
_CHARTS = (
    ("low_snr", "entropy"),
    ("low_snr", "fragmentation"),
    ("density", "low_snr"),
    ("level", "sd"),
)


@dataclass(frozen=True, slots=True, eq=False)
class ReportFacts:
    """Facts of a report besides the picks."""

    title: str
    """Heading."""

    state: str
    """One line below it."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""

    blocks: Mapping[str, NDArray[np.float64]]
    """Metrics of the blocks to compare with, by name, each of shape (n,)."""

    place: BrainMap | None = None
    """Map of the brain, seen along z."""

    source: str = ""
    """Source of the brain, as its rows name it."""

    again: str = ""
    """Command that picks the same."""


def report(
    rows: Sequence[ManifestRow],
    pictures: Mapping[str, tuple[str, str]],
    facts: ReportFacts,
) -> str:
    """Return the page.

    Parameters
    ----------
    rows
        Picks of the manifest.
    pictures
        Projections of image and label of each, by name, as addresses within the page.
    facts
        All else that it says.
    """
    style = _STYLE
    if facts.place is not None:
        high, wide = facts.place.extent
        style += (
            f".place {{ aspect-ratio: {wide} / {high}; "
            f"background-image: url({png_uri(facts.place.png)}); }}"
        )
    parts = [
        f"<h1>{text(facts.title)}</h1>",
        f"<p class='state'>{text(facts.state)}</p>",
        listed(facts.notes),
        section("Picks among the blocks", _charts(rows, facts)),
        section(
            "Picks",
            (
                "<p class='soft'>Maximum projections along z of image and label (white: "
                f"neurite, grey: does not count). {text(_MEANING)} manifest.csv has the "
                "same as a table to sort.</p>"
            ),
            _table(rows, pictures, facts),
        ),
        section("To pick the same again", command(facts.again) if facts.again else ""),
    ]
    return page(facts.title, parts, style)


def _charts(rows: Sequence[ManifestRow], facts: ReportFacts) -> str:
    def axis(name: str) -> Axis:
        title, logarithmic = _AXES[name]
        mine = np.array([row.measures.get(name) for row in rows], np.float64)
        return Axis(title, facts.blocks[name], mine, logarithmic)

    names = [row.name for row in rows]
    drawn = charts(
        scatter(axis(x), axis(y), names)
        for x, y in _CHARTS
        if {x, y} <= facts.blocks.keys() and axis(x).known and axis(y).known
    )
    legend = (
        "<p class='soft'><span class='key' style='background:#d55e00'></span>picks, which "
        "lead to their rows<span class='key' style='background:#8d99a4'></span>blocks with "
        "neurites</p>"
    )
    return f"{legend}{drawn}" if drawn else ""


def _table(
    rows: Sequence[ManifestRow],
    pictures: Mapping[str, tuple[str, str]],
    facts: ReportFacts,
) -> str:
    shown = [
        column
        for column in _COLUMNS
        if any(row.measures.get(column[0]) not in (None, 0) for row in rows)
    ]
    rounds = len({row.round for row in rows}) > 1
    heads = ["rank", *(["round"] if rounds else []), "image", "label"]
    heads += ["place"] if facts.place else []
    heads += ["name and reason", *(title for _, title, _ in shown)]
    head = "".join(f"<th{_KINDS.get(title, '')}>{text(title)}</th>" for title in heads)
    body = []
    for row in rows:
        entries = [_entry(row.rank)]
        entries += [_entry(row.round)] if rounds else []
        entries += [
            f"<td><img alt='{what}' loading='lazy' src='{uri}'></td>"
            for what, uri in zip(("image", "label"), pictures[row.name], strict=True)
        ]
        entries += [_spot(row, facts)] if facts.place else []
        name = html.escape(row.name, quote=True)
        where = f"<small>voxels {text(row.box)}</small>"
        entries.append(
            f"<td class='t'>{name.replace('_', '_<wbr>')}<small>{text(row.reason)}</small>{where}</td>"
        )
        entries += [_entry(row.measures.get(key), form) for key, _, form in shown]
        body.append(f"<tr id='{name}'>{''.join(entries)}</tr>")
    return (
        f"<div class='scroll'><table class='picks'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _entry(value: Any, form: str = "{}") -> str:
    return f"<td>{'–' if value is None else form.format(value)}</td>"


def _spot(row: ManifestRow, facts: ReportFacts) -> str:
    place = facts.place
    if place is None or row.source != facts.source:
        return "<td>–</td>"
    start, size = row.box.start[1:], row.box.shape[1:]
    top, left = (
        100 * (at - corner) / length
        for at, corner, length in zip(start, place.start, place.extent, strict=True)
    )
    high, wide = (
        100 * n / length for n, length in zip(size, place.extent, strict=True)
    )
    return (
        f"<td><div class='place'><i style='left:{left:.1f}%;top:{top:.1f}%;"
        f"width:{wide:.1f}%;height:{high:.1f}%'></i></div></td>"
    )
