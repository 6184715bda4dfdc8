"""Progress of events as they come: a live display, plain lines or JSON."""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psutil
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from blockseg.blockwise.events import JobStarted
from blockseg.core.text import counted, span
from blockseg.runtime.events import (
    BlockAdvanced,
    BlockDone,
    BlockFailed,
    BlockRetried,
    DevicesUsed,
    Message,
    PhaseDone,
    PhaseStarted,
    WorkerLost,
)

from .display import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG = logging.getLogger("blockseg.progress")
_LINE_SECONDS = 10.0
_RATE_SECONDS = 60.0
_MARK_SECONDS = 0.25
_DRAW_SECONDS = 0.1
_LEAST_ADVANCE = 0.25  # blocks, and
_LEAST_SHARE = 0.05  # of a pass, and
_LEAST_SECONDS = 5.0  # from which the time that is left is worth saying


class Tally:
    """Blocks and voxels so far, and what they foretell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: list[tuple[float, int]] = []
        self._begun = clock()
        self.phase = ""
        self.total = 0
        self.done = 0
        self.failed = 0
        self.retried = 0
        self.voxels = 0
        self.shares: dict[int, float] = {}
        self.devices = ""
        self.listed = False

    def take(self, event: object) -> None:
        """Count an event."""
        if isinstance(event, JobStarted):
            self.listed = _of_a_list(event)
        elif isinstance(event, PhaseStarted):
            self.phase, self.total = event.phase, event.blocks
            self.done = self.failed = self.voxels = 0
            self._marks = [(self._clock(), 0)]
            self._begun = self._clock()
            self.shares.clear()
        elif isinstance(event, BlockAdvanced):
            self.shares[event.block_id] = event.share
        elif isinstance(event, BlockDone):
            self.done += 1
            self.shares.pop(event.report.block_id, None)
            self.voxels += event.report.written
            now = self._clock()
            if now - self._marks[-1][0] >= _MARK_SECONDS:
                self._marks.append((now, self.voxels))
            while len(self._marks) > 2 and self._marks[1][0] < now - _RATE_SECONDS:
                del self._marks[0]
            if event.report.device_bytes and "%" not in self.devices:
                self.devices = f"GPU {event.report.device_bytes / 1e9:.1f} GB"
        elif isinstance(event, DevicesUsed):
            self.devices = _devices(event)
        elif isinstance(event, BlockFailed):
            self.failed += 1
            self.shares.pop(event.report.block_id, None)
        elif isinstance(event, BlockRetried):
            self.retried += 1
            self.shares.pop(event.report.block_id, None)

    @property
    def completed(self) -> float:
        """Blocks done or given up, and the shares of those at work, as far as known."""
        return self.done + self.failed + sum(self.shares.values())

    @property
    def rate(self) -> float:
        """Voxels a second over the last minute."""
        if not self._marks:
            return 0.0
        start, before = self._marks[0]
        return (self.voxels - before) / max(self._clock() - start, 1e-9)

    @property
    def remaining(self) -> float | None:
        """Seconds that are left at this rate; None while unknown."""
        spent = self._clock() - self._begun
        least = max(_LEAST_ADVANCE, _LEAST_SHARE * self.total)
        advanced = sum(self.shares.values())
        if not self.done and advanced >= least and spent >= _LEAST_SECONDS:
            return (self.total - self.completed) * spent / self.completed
        if not self.done or not self.rate:
            return None
        left = self.total - self.completed
        return left * (self.voxels / self.done) / self.rate

    def line(self) -> str:
        """Return the state in one line."""
        share = f" ({self.completed / self.total:.0%})" if self.shares else ""
        things = "parts" if self.listed else "blocks"
        done = f"{self.done}/{self.total} {things}{share}"
        return f"{self.phase} {done}, {self.pace()}"

    def pace(self) -> str:
        """Return what a bar does not show."""
        parts = []
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.retried:
            parts.append(f"{self.retried} tried again")
        if self.rate and not self.listed:
            parts.append(f"{self.rate / 1e6:.3g} Mvoxel/s")
        if self.remaining:
            parts.append(f"{span(self.remaining)} left")
        parts.append(f"CPU {psutil.cpu_percent():.0f} %")
        if self.devices:
            parts.append(self.devices)
        return ", ".join(parts)


def _devices(event: DevicesUsed) -> str:
    of = f" of {event.memory_total / 1e9:.0f}" if event.memory_total else ""
    many = f"{event.devices} GPUs" if event.devices > 1 else "GPU"
    return f"{many} {event.utilization:.0%}, {event.memory / 1e9:.1f}{of} GB"


@contextmanager
def watcher(*, quiet: bool, as_json: bool) -> Iterator[Callable[[object], None]]:
    """Give a function that takes events, for as long as the display lives."""
    psutil.cpu_percent()  # the first call only sets the mark to measure from
    printer = _print_json if as_json else None
    with display(quiet=quiet, as_json=printer, live=_live, plain=_plain) as show:

        def logged(event: object) -> None:
            for line in (*_said(event), *_done(event)):
                _LOG.info(line)
            show(event)

        yield logged


def _done(event: object) -> list[str]:
    """Return what the log has of an event that the display only counts."""
    if isinstance(event, PhaseStarted):
        return [f"{event.phase}: {event.blocks} to do"]
    if isinstance(event, BlockDone):
        return [f"{event.phase} block {event.report.block_id}: done"]
    if isinstance(event, BlockRetried):
        report = event.report
        return [f"{event.phase} block {report.block_id} is tried again: {report.error}"]
    if isinstance(event, PhaseDone):
        return [f"{event.phase}: {event.done} done, {event.failed} failed"]
    return []


def _print_json(event: object) -> None:
    data = asdict(event) if is_dataclass(event) and not isinstance(event, type) else {}
    report = data.get("report")
    if isinstance(report, dict):
        report.pop("payload", None)
    click.echo(json.dumps({"event": type(event).__name__, **data}, default=_jsonable))


def _jsonable(value: object) -> Any:
    return str(value) if isinstance(value, Path) else repr(value)


def _of_a_list(event: JobStarted) -> bool:
    """Say whether a pass is over a list, of files say, and no volume."""
    return event.shape[1:] == (1, 1)


def _head(event: JobStarted) -> list[str]:
    by = "×".join(str(n) for n in event.shape)
    block = "×".join(str(n) for n in event.block)
    done = f", {event.done} of them done before" if event.done else ""
    lines = [f"{by} voxels in {counted(event.blocks, 'block')} of {block}{done}"]
    if _of_a_list(event):
        lines = []
    workers = counted(event.workers, "worker") if event.workers else "no workers"
    lines.append(f"{event.engine}, {workers}")
    if event.dashboard:
        lines.append(f"dashboard {event.dashboard}")
    return [*lines, *(f"Note: {note}" for note in event.notes)]


def _said(event: object) -> list[str]:
    if isinstance(event, JobStarted):
        return _head(event)
    if isinstance(event, Message):
        return [event.text]
    if isinstance(event, BlockFailed):
        return [
            f"{event.phase} block {event.report.block_id} failed: {event.report.error}"
        ]
    if isinstance(event, WorkerLost):
        why = f" ({event.why})" if event.why else ""
        return [f"worker {event.worker} died{why}; its blocks are repeated"]
    return []


def _plain() -> Callable[[object], None]:
    tally = Tally()
    last = time.monotonic()

    def show(event: object) -> None:
        nonlocal last
        tally.take(event)
        for line in _said(event):
            click.echo(line)
        due = time.monotonic() - last > _LINE_SECONDS and isinstance(
            event, BlockDone | BlockAdvanced
        )
        if due or isinstance(event, PhaseDone):
            last = time.monotonic()
            click.echo(tally.line())

    return show


@contextmanager
def _live() -> Iterator[Callable[[object], None]]:
    console = Console(highlight=False)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
    )
    task = bar.add_task("preparing", total=None)
    tally = Tally()

    class State:
        def __rich__(self) -> Group:
            if not tally.total:
                return Group(Text("preparing", style="dim"))
            return Group(bar, Text(tally.pace(), style="dim"))

    with Live(State(), console=console, refresh_per_second=4, transient=True):
        drawn = float("-inf")

        def show(event: object) -> None:
            nonlocal drawn
            tally.take(event)
            for line in _said(event):
                console.print(line, markup=False)
            now = time.monotonic()
            due = not isinstance(event, BlockDone) or now - drawn >= _DRAW_SECONDS
            if tally.total and due:
                drawn = now
                bar.update(
                    task,
                    description=tally.phase,
                    total=tally.total,
                    completed=tally.completed,
                )

        yield show
