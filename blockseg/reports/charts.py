"""Charts of a report, as SVG by matplotlib in the text colour of the page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.text import time_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

    from blockseg.reports.facts import JobFacts
    from blockseg.reports.samples import Histogram

BLUE, ORANGE, GREEN, PURPLE, GREY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#8d99a4",
)
_ACTIVITIES = {"read": BLUE, "infer": ORANGE, "write": GREEN}
_OTHERS = (PURPLE, "#56b4e9", "#e69f00", GREY, "#f0e442")
_INK = "#012345"  # stands for the colour of the page's text
_WIDTH = 7.2  # inches
_A_LINE = 5  # names of a legend
_FEW_DECADES = 2.5
_WITHIN_A_DECADE = 6
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_OUTCOMES = {"complete": GREEN, "incomplete": ORANGE, "interrupted": GREY}


def timeline(jobs: Sequence[JobFacts]) -> str:
    """Return a chart of when each start and phase ran, of a run and its derived jobs."""
    rows: list[tuple[str, list[tuple[float, float, str]]]] = []
    for job in jobs:
        spans = [
            (s.started, s.finished, _OUTCOMES.get(s.outcome, PURPLE))
            for s in job.sessions
            if s.started and s.finished
        ]
        rows.append((job.name, spans))
        # The ledger knows when blocks ended: a phase began after the one before.
        before = min((s.started for s in job.sessions if s.started), default=0.0)
        for phase in job.phases:
            first, last = phase.summary.started, phase.summary.finished
            if not last:
                continue
            inside = [s.started for s in job.sessions if s.started <= first]
            begun = max([before, *inside])
            rows.append((f"  {phase.name}", [(min(begun, first), last, BLUE)]))
            before = last
    known = [start for _, spans in rows for start, _, _ in spans]
    if not known:
        return ""
    zero = min(known)
    last = max(stop for _, spans in rows for _, stop, _ in spans)
    unit, seconds = time_unit(last - zero)

    def draw(axes: Axes) -> None:
        for number, (_, spans) in enumerate(rows):
            for start, stop, colour in spans:
                axes.barh(
                    number,
                    max(stop - start, (last - zero) / 400) / seconds,
                    left=(start - zero) / seconds,
                    color=colour,
                    height=0.62,
                )
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        for label, (name, _) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("normal" if name.startswith(" ") else "bold")
        axes.invert_yaxis()
        axes.set_xlabel(f"{unit} since the first start; in bold the commands")
        axes.grid(axis="x", alpha=0.25)

    return drawn(draw, 0.7 + 0.24 * len(rows), left=_room(name for name, _ in rows))


def activities(jobs: Sequence[JobFacts]) -> str:
    """Return a chart of how workers spent their time, a bar for each phase."""
    rows = [
        (f"{job.name}: {phase.name}", dict(phase.summary.seconds))
        for job in jobs
        for phase in job.phases
        if sum(phase.summary.seconds.values()) > 0
    ]
    if not rows:
        return ""
    names = [*_ACTIVITIES, *sorted({n for _, s in rows for n in s} - set(_ACTIVITIES))]
    names = [name for name in names if any(spent.get(name) for _, spent in rows)]
    rest = [name for name in names if name not in _ACTIVITIES]
    colours = _ACTIVITIES | {
        name: _OTHERS[number % len(_OTHERS)] for number, name in enumerate(rest)
    }
    unit, seconds = time_unit(max(sum(spent.values()) for _, spent in rows))

    def draw(axes: Axes) -> None:
        left = np.zeros(len(rows))
        for name in names:
            spent = np.array([row.get(name, 0.0) for _, row in rows]) / seconds
            axes.barh(
                range(len(rows)),
                spent,
                left=left,
                color=colours[name],
                height=0.62,
                label=name,
            )
            left += spent
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.invert_yaxis()
        axes.set_xlabel(f"{unit} of all workers together")
        axes.grid(axis="x", alpha=0.25)
        axes.legend(
            ncols=min(len(names), _A_LINE),
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(0, 1),
        )

    room = _room(name for name, _ in rows)
    above = 0.1 + 0.24 * -(-len(names) // _A_LINE)
    return drawn(draw, 0.65 + above + 0.24 * len(rows), left=room, above=above)


def histogram(found: Histogram, threshold: float) -> str:
    """Return the distribution of the probability, with the threshold of the mask."""
    counts = found.counts.astype(np.float64)
    total = max(counts.sum(), 1.0)

    def draw(axes: Axes) -> None:
        # One shape instead of 256 bars, which take ten times as long to draw.
        edges = (np.arange(257) - 0.5) / 255
        axes.stairs(100 * counts / total, edges, fill=True, color=BLUE)
        axes.axvline(threshold, color=ORANGE, linewidth=1.4)
        axes.text(
            threshold + 0.01, 0.97, "threshold", transform=axes.get_xaxis_transform(),
            color=ORANGE, va="top",
        )  # fmt: skip
        axes.set_yscale("log")
        plain_decades(axes.yaxis)
        axes.set_xlim(-0.005, 1.005)
        axes.set_xlabel("probability")
        axes.set_ylabel("% of voxels")
        axes.grid(axis="y", alpha=0.25)

    return drawn(draw, 2.4)


def distribution(
    title: str, series: Sequence[tuple[str, NDArray[np.float64]]], *, unit: str
) -> str:
    """Return histograms over a logarithmic axis of values above 0; empty without any."""
    from matplotlib.ticker import MaxNLocator

    kept = [(name, v[np.isfinite(v) & (v > 0)]) for name, v in series]
    kept = [(name, values) for name, values in kept if values.size]
    if not kept:
        return ""
    low = min(float(values.min()) for _, values in kept)
    high = max(float(values.max()) for _, values in kept)
    edges = np.geomspace(low, max(high, low * 1.01), 41)

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(kept):
            axes.stairs(
                np.histogram(values, edges)[0],
                edges,
                fill=True,
                color=(BLUE, ORANGE)[number % 2],
                alpha=0.7,
                label=f"{name} ({values.size:,})",
            )
        axes.set_xscale("log")
        plain_decades(axes.xaxis)
        axes.set_xlabel(f"{title}, {unit}" if unit else title)
        axes.set_ylabel("objects")
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.legend(ncols=2, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
        axes.grid(axis="y", alpha=0.25)

    return drawn(draw, 2.5, width=4.9, left=0.12, above=0.3)


def bars(
    names: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    label: str,
) -> str:
    """Return groups of bars beside each other, a group a name."""
    places = np.arange(len(names))
    wide = 0.8 / max(len(series), 1)

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(series):
            at = places + (number - (len(series) - 1) / 2) * wide
            axes.bar(at, values, wide, label=name, color=(BLUE, ORANGE)[number % 2])
        axes.set_xticks(places, list(names))
        axes.set_ylabel(label)
        axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        axes.grid(axis="y", alpha=0.25)

    return drawn(draw, 2.6, above=0.35)


def heat(plane: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return values as colours, ``(y, x, 4)``, from the least to the greatest.

    What is NaN is transparent.
    """
    from matplotlib import colormaps

    known = np.isfinite(plane)
    low, high = (plane[known].min(), plane[known].max()) if known.any() else (0.0, 1.0)
    share = np.where(known, (plane - low) / max(float(high - low), 1e-12), 0.0)
    colours: NDArray[np.uint8] = colormaps["viridis"](share, bytes=True)
    colours[~known] = 0
    return colours


def _room(names: Iterable[str]) -> float:
    """Return the share of the width that names beside an axis need."""
    return min(0.03 + 0.0095 * max(map(len, names)), 0.4)


def plain_decades(axis: Axis) -> None:
    """Label a logarithmic axis with 0.01, 1, 1000; powers take long to typeset."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    times = high / max(low, 1e-300)
    subs: tuple[float, ...] = (1.0, 2.0, 5.0) if times < 10**_FEW_DECADES else (1.0,)
    if times < _WITHIN_A_DECADE:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def drawn(
    draw: Callable[[Axes], None],
    height: float,
    *,
    width: float = _WIDTH,
    left: float = 0.09,
    above: float = 0.08,
) -> str:
    """Return a chart as an ``svg`` element.

    Parameters
    ----------
    draw
        Draws it.
    height, width
        Of the whole, in inches at 9 points of print.
    left
        Share of the width before the axis.
    above
        Inches above the axes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": ["sans-serif"],
        "font.size": 9.0,
        "svg.fonttype": "none",  # text stays text: small, sharp and searched
        "svg.hashsalt": "blockseg",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color",
             "ytick.color", "grid.color"), _INK,
        ),
    }  # fmt: skip
    with rc_context(style):
        # Margins by hand: to find them takes longer than to draw all else.
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        figure.subplots_adjust(
            left=left, right=0.975, bottom=0.45 / height, top=1 - above / height
        )
        draw(figure.subplots())
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = _PROLOGUE.sub("", written.getvalue(), count=1)
    return text.replace(_INK, "currentColor")
