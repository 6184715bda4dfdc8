"""``PICKS/report.html``: every pick with pictures and metrics, in one file."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.io.output.picture import png_uri
from blockseg.proposals.charts import Axis, scatter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from blockseg.proposals.manifest import ManifestRow
    from blockseg.proposals.map import BrainMap

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 1400px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.5em; margin-bottom: .2em; } h2 { font-size: 1.1em; margin-top: 2em; }
.state { color: #555; margin-top: 0; } .notes { padding-left: 1.2em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr));
          gap: 1em; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #444;
      border: 1px solid #e4e4e4; border-radius: 4px; }
svg .title { font-size: 12px; font-weight: 600; fill: #222; }
svg .axis { fill: none; stroke: #999; }
svg .all { fill: none; stroke: #8d99a4; stroke-width: 4.5; stroke-linecap: round;
           stroke-opacity: .5; }
svg circle { fill: #d55e00; stroke: #fff; stroke-width: .8; }
svg a:hover circle { fill: #0072b2; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { text-align: right; padding: .3em .5em .3em 0; border-bottom: 1px solid #e4e4e4;
         vertical-align: top; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { position: sticky; top: 0; background: #fff; font-weight: 600; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid #0072b2; }
th[aria-sort=ascending] button::after { content: " \\25B2"; font-size: .7em; }
th[aria-sort=descending] button::after { content: " \\25BC"; font-size: .7em; }
td.t, th.t { text-align: left; white-space: normal; min-width: 14em; overflow-wrap: anywhere; }
th:not(:has(button)) { text-align: left; }
td.t small { color: #555; display: block; }
tr:target { background: #fff3d6; }
td img { display: block; width: 128px; height: auto; background: #000;
         image-rendering: pixelated; }
.place { position: relative; width: 110px; background: #111 center/100% 100% no-repeat;
         image-rendering: pixelated; }
.place i { position: absolute; border: 2px solid #ffcc00; box-sizing: border-box;
           min-width: 7px; min-height: 7px; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em;
       border-radius: 50%; vertical-align: -.05em; }
@media (prefers-color-scheme: dark) {
  body { color: #e3e6e9; } body, th { background: #15191d; }
  svg { fill: #b9c1c9; border-color: #363d45; } svg .title { fill: #e3e6e9; }
  .state, td.t small { color: #a3adb7; } th, td { border-color: #363d45; }
  tr:target { background: #3a3320; } }
"""

_SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = document.querySelector("tbody");
    const up = head.getAttribute("aria-sort") === "descending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.children[head.cellIndex].dataset.v ?? "";
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? (x < y ? -1 : x > y ? 1 : 0) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  });
}
"""

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


def report(
    rows: Sequence[ManifestRow],
    pictures: Mapping[str, tuple[bytes, bytes]],
    facts: ReportFacts,
) -> str:
    """Return the page.

    Parameters
    ----------
    rows
        Picks of the manifest.
    pictures
        Projections of image and label of each, as PNG, by name.
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
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in facts.notes)
    parts = [
        f"<h1>{html.escape(facts.title)}</h1>",
        f"<p class='state'>{html.escape(facts.state)}</p>",
        f"<ul class='notes'>{notes}</ul>" if notes else "",
        _charts(rows, facts),
        (
            "<h2>Picks</h2><p class='state'>Maximum projections along z of image and label "
            "(white: neurite, grey: does not count); a click on a heading sorts. "
            f"{html.escape(_MEANING)}</p>"
        ),
        _table(rows, pictures, facts),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(facts.title)}</title>"
        f"<style>{style}</style></head><body>{''.join(parts)}"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def _charts(rows: Sequence[ManifestRow], facts: ReportFacts) -> str:
    def axis(name: str) -> Axis:
        title, logarithmic = _AXES[name]
        mine = np.array([row.measures.get(name) for row in rows], np.float64)
        return Axis(title, facts.blocks[name], mine, logarithmic)

    names = [row.name for row in rows]
    drawn = [
        scatter(axis(x), axis(y), names)
        for x, y in _CHARTS
        if {x, y} <= facts.blocks.keys() and axis(x).known and axis(y).known
    ]
    if not drawn:
        return ""
    return (
        "<h2>Picks among the blocks<span class='key' style='background:#d55e00'></span>"
        "picks<span class='key' style='background:#9aa4ad'></span>blocks with neurites"
        f"</h2><div class='charts'>{''.join(drawn)}</div>"
    )


def _table(
    rows: Sequence[ManifestRow],
    pictures: Mapping[str, tuple[bytes, bytes]],
    facts: ReportFacts,
) -> str:
    shown = [
        column
        for column in _COLUMNS
        if any(row.measures.get(column[0]) not in (None, 0) for row in rows)
    ]
    rounds = len({row.round for row in rows}) > 1
    heads = [_head("rank"), *([_head("round")] if rounds else [])]
    heads += ["<th>image</th><th>label</th>"]
    heads += ["<th>place</th>"] if facts.place else []
    heads += [_head("name and reason", "t"), _head("z"), _head("y"), _head("x")]
    heads += [_head(title) for _, title, _ in shown]
    body = []
    for row in rows:
        entries = [_entry(row.rank)]
        entries += [_entry(row.round)] if rounds else []
        entries += [
            f"<td><img alt='{what}' loading='lazy' src='{png_uri(png)}'></td>"
            for what, png in zip(("image", "label"), pictures[row.name], strict=True)
        ]
        entries += [_spot(row, facts)] if facts.place else []
        name = html.escape(row.name, quote=True)
        entries.append(
            f"<td class='t' data-v='{name}'>{name}"
            f"<small>{html.escape(row.reason)}</small></td>"
        )
        entries += [_entry(first) for first in row.box.start]
        entries += [_entry(row.measures.get(key), form) for key, _, form in shown]
        body.append(f"<tr id='{name}'>{''.join(entries)}</tr>")
    return (
        f"<div class='scroll'><table><thead><tr>{''.join(heads)}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _head(title: str, kind: str = "") -> str:
    style = f" class='{kind}'" if kind else ""
    return f"<th{style}><button>{html.escape(title)}</button></th>"


def _entry(value: Any, form: str = "{}") -> str:
    if value is None:
        return "<td data-v=''>–</td>"
    return f"<td data-v='{value}'>{form.format(value)}</td>"


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
