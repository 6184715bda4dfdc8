"""``report.html``: curves, scores and pictures in one file that needs nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.io.output.atomic_files import replace_file
from blockseg.reports.charts import BLUE, GREEN, ORANGE
from blockseg.reports.curves import Curve, curves
from blockseg.reports.page import (
    address,
    charts,
    command,
    folded,
    headline,
    page,
    pictures,
    section,
    table,
    text,
)
from blockseg.training.data.examples import Example, make_example
from blockseg.training.learning.validation import VolumeScore, together
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
_SHARE = 0.02  # of the time of a training that its report may take
_COLOURS = (
    ("255, 255, 255", "found"),
    ("86, 180, 233", "missed"),
    ("213, 94, 0", "beside the truth or false"),
    ("40, 40, 40", "does not count"),
)
_LEGEND = (
    "<p class='soft'>Maximum projections of validation volumes; the prediction is that of "
    "the running mean of the weights. Comparison at 0.5:"
    + "".join(
        "<span class='named'><span class='key' "
        f"style='background:rgb({colour});border:1px solid #888'></span>{name}</span> "
        for colour, name in _COLOURS
    )
    + "</p>"
)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Facts of a report that are known before the training."""

    title: str
    """Name of the run."""

    network: str
    """Architecture, width and parameters, for a human."""

    sources: tuple[Mapping[str, str], ...]
    """Facts of each source of data, one mapping each, with the same keys."""

    settings: Mapping[str, str]
    """Setting and value, as a user writes them."""

    machine: Mapping[str, str]
    """Machine on which it ran."""

    again: str = ""
    """Command that makes the same training elsewhere."""

    typed: tuple[str, ...] = ()
    """Commands as they were typed, one a start."""


class Report(Watcher):
    """Keep the report of a training up to date, in 2 % of its time.

    Parameters
    ----------
    path
        File to write, at validations and at the end.
    facts
        What it says besides.
    """

    def __init__(self, path: Path, facts: ReportFacts) -> None:
        self._path, self._facts = path, facts
        self._coming: list[Example] = []
        self._examples: list[Example] = []
        self._scores: list[VolumeScore] = []
        self._not_before = 0.0

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
        began = time.monotonic()
        if began < self._not_before:
            return
        self._write(rows, f"Running; step {rows[-1].step:,} is done.")
        ended = time.monotonic()
        self._not_before = ended + (ended - began) / _SHARE

    def ended(self, rows: Sequence[Row], result: TrainingResult) -> None:
        """Write the report of one that ended."""
        if not self._scores and any(row.f1 is not None for row in rows):
            return  # called again on a finished one: the file has more than we know
        word, kind = ("Finished", "good") if result.complete else ("Incomplete", "bad")
        why = f" ({result.stopped})" if result.stopped else ""
        skipped = f", {result.skipped} steps skipped" if result.skipped else ""
        self._write(
            rows,
            f"{why}: {result.step:,} steps in {result.seconds / 60:.1f} minutes of all "
            f"sessions{skipped}.",
            f"<b class='{kind}'>{word}</b>",
        )

    def _write(self, rows: Sequence[Row], state: str, word: str = "") -> None:
        facts = self._facts
        commands = [command(facts.again)] if facts.again else []
        if facts.typed:
            commands.append("<p>As typed:</p>")
            commands += [command(line) for line in dict.fromkeys(facts.typed)]
        parts = [
            f"<h1>{text(facts.title)}</h1>",
            f"<p class='state'>{text(facts.network)}. {word}{text(state)}</p>",
            _figures(rows),
            section("Curves", _curves(rows)),
            section("Examples", _pictures(self._examples)),
            section("Scores of the last validation", _scores(self._scores)),
            section("Data", _data(facts.sources)),
            section("To make it again", *commands),
            section(
                "Settings",
                folded("Every setting", table(("", ""), facts.settings.items())),
            ),
            section("Machine", table(("", ""), facts.machine.items())),
        ]
        replace_file(self._path, page(f"{facts.title}: training", parts).encode())


def _figures(rows: Sequence[Row]) -> str:
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
    return headline(figures) if figures else "<p>Nothing was validated yet.</p>"


def _curves(rows: Sequence[Row]) -> str:
    def curve(field: str, name: str, colour: str, *, dots: bool = False) -> Curve:
        values = [(float(row.step), getattr(row, field)) for row in rows]
        points = tuple((x, float(y)) for x, y in values if y is not None)
        return Curve(name, points, colour, dots)

    return charts(
        [
            curves(
                "loss",
                [
                    curve("loss", "training", BLUE),
                    curve("validation_loss", "validation", ORANGE, dots=True),
                ],
                logarithmic=True,
            ),
            curves(
                "F1, tolerance 2 voxels",
                [
                    curve("f1", "at 0.5", BLUE, dots=True),
                    curve("best_f1", "best threshold", GREEN),
                ],
                low=0,
                high=1.02,
            ),
            curves(
                "precision, recall at 0.5",
                [
                    curve("precision", "precision", BLUE, dots=True),
                    curve("recall", "recall", ORANGE, dots=True),
                ],
                low=0,
                high=1.02,
            ),
            curves("learning rate", [curve("rate", "rate", BLUE)], low=0),
        ]
    )


def _pictures(examples: Sequence[Example]) -> str:
    parts = [_LEGEND] if examples else []
    for example in examples:
        shown = (
            (example.image, "image"),
            (example.truth, "truth"),
            (example.prediction, "probability"),
            (example.overlay, "comparison"),
        )
        drawn = pictures([(address(plane, photo=True), what) for plane, what in shown])
        parts.append(f"<h3>{text(example.name)}</h3>{drawn}")
    return "".join(parts)


def _scores(scores: Sequence[VolumeScore]) -> str:
    every = [*scores, together(scores)] if len(scores) > 1 else scores
    heads = (
        "volume", "F1 at 0.5", "precision", "recall", "best F1", "at threshold", "loss",
        "voxels that count",
    )  # fmt: skip
    rows = []
    for score in every:
        threshold, f1 = score.best
        at = score.default
        values = (at.f1, at.precision, at.recall, f1)
        rows.append(
            (
                score.name,
                *(f"{value:.3f}" for value in values),
                f"{threshold:.2f}",
                f"{score.loss:.4g}",
                f"{score.voxels:,}",
            )
        )
    return table(heads, rows)


def _data(sources: Sequence[Mapping[str, str]]) -> str:
    if not sources:
        return "<p>None.</p>"
    heads = tuple(sources[0])
    return table(heads, [[one.get(name, "") for name in heads] for one in sources])
