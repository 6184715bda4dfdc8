"""The page of a run on Dask's dashboard: its blocks, its pace, its workers, its failures.

A session of a browser has a page of its own, which looks at the board once a second and
sends what changed: a map of at most :data:`_CELLS` cells along an axis, whatever the
number of blocks, and some lines of text.
"""

from __future__ import annotations

import html
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    DataRange1d,
    NumeralTickFormatter,
)
from bokeh.models.widgets.inputs import Select
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider
from bokeh.plotting import figure
from distributed.dashboard.components import add_periodic_callback
from distributed.dashboard.components.scheduler import BOKEH_THEME, env

from blockseg.core.text import span, time_unit
from blockseg.runtime.board import EXTENSION, Board, Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Scheduler
    from numpy.typing import NDArray

_CELLS = 128
_EVERY_MS = 1000
_STATE = "state"
_CHOICES: list[str | None] = [_STATE]
_SCROLLED: dict[str, str | None] = {
    "max-height": "230px",
    "overflow-y": "auto",
    "margin-top": "6px",
}
_NAMES = {
    _STATE: "state",
    "foreground": "foreground, share",
    "seconds": "time of a block, s",
    "skipped": "taken for empty, share",
    "density": "signal density D",
    "snr_50": "median SNR",
    "low_snr": "low-SNR ratio L",
    "entropy": "entropy U, bits",
    "fragmentation": "fragmentation G",
    "level": "background m, grey levels",
    "sd": "noise SD s, grey levels",
}
_COLOURS = {
    Shown.OUTSIDE: (245, 245, 245),
    Shown.PENDING: (205, 210, 216),
    Shown.EARLIER: (139, 190, 160),
    Shown.DONE: (47, 158, 98),
    Shown.PARTLY: (178, 208, 120),
    Shown.RUNNING: (240, 173, 78),
    Shown.FAILED: (208, 60, 60),
}
_WORDS = {
    Shown.PENDING: "waiting",
    Shown.RUNNING: "at a worker",
    Shown.DONE: "written",
    Shown.PARTLY: "partly written",
    Shown.EARLIER: "written earlier",
    Shown.FAILED: "failed",
}
_RAMP = np.array(
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float
)
_ACTIVITIES = ("read", "infer", "write", "queue")
_SCALE = (
    "<span style='display:inline-block;width:90px;height:10px;background:linear-gradient("
    f"90deg,{','.join(f'rgb({r:.0f},{g:.0f},{b:.0f})' for r, g, b in _RAMP)})'></span>"
)


def run_page(scheduler: Scheduler, extra: dict[str, Any], doc: Any) -> None:
    """Fill a document of Bokeh with the page; called once for each browser session."""
    page = _RunPage(scheduler)
    page.update()
    add_periodic_callback(doc, page, _EVERY_MS)  # type: ignore[no-untyped-call]
    doc.title = "Dask: blockseg"
    doc.add_root(page.root)
    doc.template = env.get_template("simple.html")
    doc.template_variables.update(extra)
    doc.theme = BOKEH_THEME


class _RunPage:
    """A page of one session."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler: Any = scheduler
        self._seen: tuple[object, ...] = ()
        self._grid: tuple[int, ...] = ()
        self._head = Div(sizing_mode="stretch_width")
        self._z = Slider(
            start=0, end=1, value=0, step=1, width=250, title="plane of blocks (z)"
        )
        self._metric = Select(title="colour", value=_STATE, options=_CHOICES, width=210)
        self._legend = Div()
        self._map = ColumnDataSource(
            {"image": [], "x": [], "y": [], "dw": [], "dh": []}
        )
        self._rate = ColumnDataSource({"time": [], "voxels": [], "blocks": []})
        self._workers = Div(sizing_mode="stretch_width", styles=_SCROLLED)
        self._failures = Div(sizing_mode="stretch_width", styles=_SCROLLED)
        self._plane = self._map_figure()
        self._last_rate = self._rate_figure("blocks", "blocks/s", labelled=True)
        self.root = column(
            self._head,
            row(
                column(
                    row(self._z, self._metric), self._plane, self._legend, styles=_LEFT
                ),
                column(
                    self._rate_figure("voxels", "Mvoxel/s", labelled=False),
                    self._last_rate,
                    self._workers,
                    self._failures,
                    sizing_mode="stretch_width",
                ),
                sizing_mode="stretch_width",
            ),
            sizing_mode="stretch_width",
        )

    def update(self) -> None:
        """Send what changed since the last time."""
        board = self._scheduler.extensions.get(EXTENSION)
        if not isinstance(board, Board):
            self._head.text = "No run of blockseg has begun on this scheduler."
            return
        self._say(board)  # a rate and a time left change though no block does
        seen = (board.changes, board.phase, self._z.value, self._metric.value)
        if seen == self._seen:
            return
        self._seen = seen
        self._draw(board)
        self._table(board)

    def _say(self, board: Board) -> None:
        blocks, voxels = board.rates()
        left = board.remaining()
        failed = board.counts[board.phase, "failed"]
        retried = board.counts[board.phase, "retried"]
        words = [
            f"<b>{board.done:,} of {board.total:,} blocks</b>",
            f"{blocks:.3g} blocks/s",
            f"{voxels / 1e6:.3g} Mvoxel/s",
            f"{span(left, 0)} left" if left is not None and board.left else "",
            f"<b style='color:#d03c3c'>{failed} failed</b>" if failed else "",
            f"{retried} tried again" if retried else "",
        ]
        text = (
            f"<div style='font-size:15px'>{html.escape(board.phase)}: "
            f"{' · '.join(filter(None, words))}</div>"
            f"<div style='color:#666' title='{html.escape(board.out)}'>"
            f"{html.escape(PurePath(board.out).name)} · "
            f"{html.escape(board.engine)}</div>"
        )
        if text != self._head.text:
            self._head.text = text

    def _draw(self, board: Board) -> None:
        depth, height, width = board.states.shape
        if not board.states.size:
            return
        if board.states.shape != self._grid:
            self._grid = board.states.shape
            self._z.update(end=max(depth - 1, 1), disabled=depth == 1)
            self._z.value = depth // 2
            # Nothing is counted beyond the blocks.
            self._plane.xaxis.bounds = (0, width)
            self._plane.yaxis.bounds = (0, height)
        choices: Any = [(name, _NAMES[name]) for name in (_STATE, *board.metrics)]
        if choices != self._metric.options:
            self._metric.options = choices
        z = min(int(self._z.value), depth - 1)
        if self._metric.value not in board.metrics:
            colours = state_colours(board.plane(z, _CELLS))
            legend = _legend()
        else:
            values = board.metric_plane(z, self._metric.value, _CELLS)
            colours, low, high = metric_colours(values)
            legend = (
                f"{_NAMES[self._metric.value]}: {low:.3g} {_SCALE} {high:.3g}, grey where "
                "not known"
            )
        self._map.data = {
            "image": [colours],
            "x": [0],
            "y": [0],
            "dw": [width],
            "dh": [height],
        }
        if legend != self._legend.text:
            self._legend.text = legend
        marks = list(board.history)
        pairs = [(a, b) for a, b in pairwise(marks) if b[0] > a[0]]
        unit, seconds = time_unit(marks[-1][0] - marks[0][0] if marks else 0)
        self._last_rate.xaxis.axis_label = f"{unit} since the phase began"
        self._rate.data = {
            "time": [(b[0] - marks[0][0]) / seconds for _, b in pairs],
            "voxels": [(b[2] - a[2]) / (b[0] - a[0]) / 1e6 for a, b in pairs],
            "blocks": [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs],
        }

    def _table(self, board: Board) -> None:
        known = {ws.address: ws for ws in self._scheduler.workers.values()}
        rows = []
        for address, sums in list(board.workers.items()):
            there = known.get(address)
            metrics = there.metrics if there is not None else {}
            gpu = metrics.get("gpu") or {}
            device = "CPU"
            if gpu or sums.device_bytes:
                held = gpu.get("memory-used") or sums.device_bytes
                busy = f"{gpu['utilization']:.0f} %, " if "utilization" in gpu else ""
                device = f"GPU {busy}{held / 1e9:.1f} GB"
            rows.append(
                {
                    "worker": str(there.name if there is not None else address)
                    + (" (died)" if sums.lost else ""),
                    "device": device,
                    "cpu": f"{metrics.get('cpu', 0):.0f} %",
                    "memory": f"{metrics.get('memory', 0) / 1e9:.2f} GB",
                    "blocks": sums.blocks,
                    **{name: round(sums.seconds[name], 1) for name in _ACTIVITIES},
                }
            )
        shown = _html_table(
            [*_HEAD, *(f"{name}, s" for name in _ACTIVITIES)],
            [list(row.values()) for row in rows],
        )
        if shown != self._workers.text:
            self._workers.text = shown
        failures = [[f.block, f.attempts, f.error] for f in board.failures]
        shown = _html_table(["failed block", "attempts", "message"], failures)
        if shown != self._failures.text:
            self._failures.text = shown if failures else "No block has failed."

    def _map_figure(self) -> Any:
        shown = figure(
            sizing_mode="scale_width",
            width=500,
            height=440,
            match_aspect=True,
            y_range=DataRange1d(flipped=True),
            tools="pan,wheel_zoom,reset",
            x_axis_label="blocks along x",
            y_axis_label="blocks along y",
        )
        shown.grid.visible = False
        # Blocks are whole: no ticks at halves of them.
        shown.axis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        shown.image_rgba(
            image="image", x="x", y="y", dw="dw", dh="dh", source=self._map
        )
        return shown

    def _rate_figure(self, what: str, title: str, *, labelled: bool) -> Any:
        shown = figure(
            sizing_mode="stretch_width",
            height=155 if labelled else 125,
            tools="",
            toolbar_location=None,
            x_axis_label="seconds since the phase began" if labelled else None,
            title=title,
            y_range=DataRange1d(start=0),
        )
        shown.yaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
        shown.yaxis.formatter = NumeralTickFormatter(format="0.[00]a")
        shown.line("time", what, source=self._rate, line_width=2)
        return shown


# As large as the window has room for, below the head and above the legend.
_LEFT = {"width": "max(500px, min(40vw, 100vh - 290px))"}
_HEAD = ("worker", "device", "CPU", "memory", "blocks")
_CELL = "padding:2px 14px 2px 0;text-align:left;border-bottom:1px solid #ddd"


def _html_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; Bokeh's own keeps showing its first contents."""
    lines = [
        "".join(f"<{tag} style='{style}'>{html.escape(str(c))}</{tag}>" for c in cells)
        for tag, style, cells in [
            ("th", f"{_CELL};white-space:nowrap", head),
            *(("td", _CELL, row) for row in rows),
        ]
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table style='border-collapse:collapse;font-size:13px'>{body}</table>"


def state_colours(states: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return a map of states as RGBA, shape (y, x)."""
    table = np.zeros((len(Shown), 3), np.uint8)
    for state, colour in _COLOURS.items():
        table[state] = colour
    return _rgba(table[states])


def metric_colours(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.uint32], float, float]:
    """Return a map of numbers as RGBA with its least and greatest; grey where unknown."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    place = np.nan_to_num((values - low) / (high - low or 1.0)) * (len(_RAMP) - 1)
    below = np.clip(place.astype(int), 0, len(_RAMP) - 2)
    share = (place - below)[..., None]
    colours = (_RAMP[below] * (1 - share) + _RAMP[below + 1] * share).astype(np.uint8)
    colours[~np.isfinite(values)] = _COLOURS[Shown.PENDING]
    return _rgba(colours), low, high


def _rgba(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    rgba = np.full((*colours.shape[:2], 4), 255, np.uint8)
    rgba[..., :3] = colours
    return rgba.view(np.uint32)[..., 0]


def _legend() -> str:
    return " ".join(
        f"<span style='display:inline-block;width:11px;height:11px;background:rgb"
        f"{_COLOURS[state]}'></span> {word}&ensp;"
        for state, word in _WORDS.items()
    )
