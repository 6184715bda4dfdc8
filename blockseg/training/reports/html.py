"""``report.html``: curves, scores and pictures in one file that needs nothing else."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.picture import png, png_uri
from blockseg.training.data.examples import Example, make_example
from blockseg.training.learning.validation import VolumeScore, together
from blockseg.training.reports.charts import Curve, chart
from blockseg.training.reports.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.training.data.data import ValidationVolume
    from blockseg.training.events import TrainingResult
    from blockseg.training.history import Row

_PICTURES = 4
_BLUE, _ORANGE, _GREEN = "#0072b2", "#d55e00", "#009e73"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 1180px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.5em; margin-bottom: .2em; } h2 { font-size: 1.1em; margin-top: 2em; }
.state { color: #555; margin-top: 0; }
.figures { display: flex; gap: 2.5em; flex-wrap: wrap; margin: 1.2em 0; }
.figure b { display: block; font-size: 1.7em; font-weight: 600; }
.figure span { color: #555; font-size: .9em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr));
          gap: 1em; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #444;
      border: 1px solid #e4e4e4; border-radius: 4px; }
svg .title { font-size: 13px; font-weight: 600; fill: #222; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #e4e4e4;
         vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; margin: .4em 0 1.4em; }
figure { margin: 0; } figcaption { color: #555; font-size: .85em; }
img { width: 100%; height: auto; background: #000; image-rendering: pixelated; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em;
       border: 1px solid #888; vertical-align: -.05em; }
@media (prefers-color-scheme: dark) {
  body { color: #e3e6e9; background: #15191d; } svg { fill: #b9c1c9; border-color: #363d45; }
  svg .title { fill: #e3e6e9; } svg line[stroke="#ddd"] { stroke: #363d45; }
  .state, .figure span, figcaption { color: #a3adb7; } th, td { border-color: #363d45; } }
"""

_LEGEND = (
    "<h2>Examples</h2><p>Maximum projections of validation volumes; the "
    "prediction is that of the running mean of the weights. Comparison at 0.5:"
    "<span class='key' style='background:#fff'></span>found"
    "<span class='key' style='background:#56b4e9'></span>missed"
    "<span class='key' style='background:#d55e00'></span>beside the truth or false"
    "<span class='key' style='background:#282828'></span>does not count</p>"
)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Facts of a report besides what the training finds."""

    title: str
    """Name of the run."""

    network: str
    """Architecture, width and parameters, for a human."""

    sources: tuple[Mapping[str, str], ...]
    """Facts of each source of data, one mapping each, with the same keys."""

    settings: Mapping[str, str]
    """Setting and value, as a user writes them."""

    machine: Mapping[str, str]
    """Where it ran."""


class Report(Watcher):
    """Keep the report of a training up to date.

    Parameters
    ----------
    path
        File to write, at each validation and at the end.
    facts
        What it says besides.
    """

    def __init__(self, path: Path, facts: ReportFacts) -> None:
        self._path, self._facts = path, facts
        self._coming: list[Example] = []
        self._examples: list[Example] = []
        self._scores: list[VolumeScore] = []

    def volume(
        self, volume: ValidationVolume, probability: NDArray[np.float32]
    ) -> None:
        """Keep pictures of the first few volumes."""
        if len(self._coming) < _PICTURES:
            self._coming.append(make_example(volume, probability))

    def validated(self, rows: Sequence[Row], scores: Sequence[VolumeScore]) -> None:
        """Write the report of a training that goes on."""
        self._examples, self._coming = self._coming, []
        self._scores = list(scores)
        self._write(rows, f"Running; step {rows[-1].step:,} is done.")

    def ended(self, rows: Sequence[Row], result: TrainingResult) -> None:
        """Write the report of one that ended."""
        if not self._scores and any(row.f1 is not None for row in rows):
            return  # called again on a finished one: the file has more than we know
        state = "Finished" if result.complete else "Incomplete"
        why = f" ({result.stopped})" if result.stopped else ""
        took = f"{result.seconds / 60:.1f} minutes"
        skipped = f", {result.skipped} steps skipped" if result.skipped else ""
        self._write(
            rows,
            f"{state}{why}: {result.step:,} steps in {took} of all sessions{skipped}.",
        )

    def _write(self, rows: Sequence[Row], state: str) -> None:
        facts = self._facts
        parts = [
            f"<h1>{html.escape(facts.title)}</h1>",
            f"<p class='state'>{html.escape(facts.network)}. {html.escape(state)}</p>",
            _headline(rows),
            "<h2>Curves</h2>",
            _charts(rows),
            _pictures(self._examples),
            _score_table(self._scores),
            "<h2>Data</h2>",
            _table(facts.sources),
            "<h2>Settings</h2>",
            _table([{"setting": k, "value": v} for k, v in facts.settings.items()]),
            "<h2>Machine</h2>",
            _table([{"what": k, "value": v} for k, v in facts.machine.items()]),
        ]
        page = (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width'>"
            f"<title>{html.escape(facts.title)}: training</title>"
            f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
        )
        replace_file(self._path, page.encode())


def _headline(rows: Sequence[Row]) -> str:
    best = [row for row in rows if row.improved]
    last = [row for row in rows if row.f1 is not None]
    figures = []
    if best:
        row = best[-1]
        figures += [
            (f"{row.f1:.3f}", f"best F1 at 0.5, step {row.step:,}"),
            (f"{row.precision:.3f}", "its precision"),
            (f"{row.recall:.3f}", "its recall"),
            (f"{row.best_f1:.3f}", f"its F1 at threshold {row.best_threshold:.2f}"),
        ]
    if last:
        figures.append((f"{last[-1].f1:.3f}", f"F1 now, step {last[-1].step:,}"))
    if not figures:
        return "<p>No validation yet.</p>"
    shown = "".join(
        f"<div class='figure'><b>{value}</b><span>{what}</span></div>"
        for value, what in figures
    )
    return f"<div class='figures'>{shown}</div>"


def _charts(rows: Sequence[Row]) -> str:
    def curve(field: str, name: str, colour: str, *, dots: bool = False) -> Curve:
        values = [(float(row.step), getattr(row, field)) for row in rows]
        points = tuple((x, float(y)) for x, y in values if y is not None)
        return Curve(name, points, colour, dots)

    drawn = [
        chart(
            "Loss",
            [
                curve("loss", "training", _BLUE),
                curve("validation_loss", "validation", _ORANGE, dots=True),
            ],
            logarithmic=True,
        ),
        chart(
            "F1, tolerance 2 voxels",
            [
                curve("f1", "at 0.5", _BLUE, dots=True),
                curve("best_f1", "best threshold", _GREEN),
            ],
            low=0,
            high=1,
        ),
        chart(
            "Precision and recall at 0.5",
            [
                curve("precision", "precision", _BLUE, dots=True),
                curve("recall", "recall", _ORANGE, dots=True),
            ],
            low=0,
            high=1,
        ),
        chart("Learning rate", [curve("rate", "rate", _BLUE)], low=0),
    ]
    return f"<div class='charts'>{''.join(drawn)}</div>"


def _pictures(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    parts = [_LEGEND]
    for example in examples:
        shown = (
            ("image", example.image),
            ("truth", example.truth),
            ("probability", example.prediction),
            ("comparison", example.overlay),
        )
        figures = "".join(
            f"<figure><img alt='{what}' src='{png_uri(png(plane))}'>"
            f"<figcaption>{what}</figcaption></figure>"
            for what, plane in shown
        )
        parts.append(
            f"<b>{html.escape(example.name)}</b><div class='row'>{figures}</div>"
        )
    return "".join(parts)


def _score_table(scores: Sequence[VolumeScore]) -> str:
    if not scores:
        return ""
    every = [*scores, together(scores)] if len(scores) > 1 else scores
    rows = []
    for score in every:
        threshold, f1 = score.best
        rows.append(
            {
                "volume": score.name,
                "F1 at 0.5": f"{score.default.f1:.3f}",
                "precision": f"{score.default.precision:.3f}",
                "recall": f"{score.default.recall:.3f}",
                "best F1": f"{f1:.3f}",
                "at threshold": f"{threshold:.2f}",
                "loss": f"{score.loss:.4g}",
                "voxels that count": f"{score.voxels:,}",
            }
        )
    return "<h2>Scores of the last validation</h2>" + _table(rows)


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return "<p>None.</p>"
    names = list(rows[0])
    numeric = {
        name for name in names if all(_is_number(row.get(name, "")) for row in rows)
    }

    def cell(tag: str, name: str, text: str) -> str:
        kind = " class='n'" if name in numeric else ""
        return f"<{tag}{kind}>{html.escape(text)}</{tag}>"

    head = "".join(cell("th", name, name) for name in names)
    body = "".join(
        "<tr>"
        + "".join(cell("td", name, row.get(name, "")) for name in names)
        + "</tr>"
        for row in rows
    )
    return f"<div class='scroll'><table><tr>{head}</tr>{body}</table></div>"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True
