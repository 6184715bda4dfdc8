"""``blockseg status --watch``: the display of looks at a run."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from blockseg.core.errors import BlocksegError
from blockseg.core.text import counted, span

from .display import display
from .outcome import voxels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blockseg.blockwise.watching import Look, Watch

_MOST_MISSED = 5
_WORKERS = 12
_FAILURES = 5
_BUSY = 4


def watch(
    watching: Watch,
    seconds: float,
    *,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show looks at a run, until nobody is at work on it.

    Parameters
    ----------
    watching
        Looks at it.
    seconds
        Seconds between two looks; more where a look takes long.
    as_json
        Print each look as a line of JSON.
    sleep
        Waits.
    """
    printer = _print_json if as_json else None
    with display(quiet=False, as_json=printer, live=_live, plain=_plain) as show:
        missed = _MOST_MISSED  # the first look must succeed
        while True:
            began = time.monotonic()
            try:
                look = watching.look()
            except BlocksegError:  # a disk elsewhere that does not answer for once
                missed += 1
                if missed > _MOST_MISSED:
                    raise
            else:
                missed = 0
                if look.running or as_json:
                    show(look)
                if not look.running:
                    return
            sleep(max(seconds, _BUSY * (time.monotonic() - began)))


def line_of(look: Look) -> str:
    """Return a look in one line."""
    name = f"{look.job}: " if look.job else ""
    phase = look.phase
    if phase is None:
        return f"{name}{'preparing' if look.running else 'nothing is written yet'}"
    done = f"{phase.name} {phase.done}/{phase.blocks} blocks"
    return ", ".join([f"{name}{done}", *_pace(look)])


def _pace(look: Look) -> list[str]:
    phase = look.phase
    words = []
    if phase is not None and phase.failed:
        words.append(f"{phase.failed} failed")
    if look.voxels:
        words.append(f"{voxels(look.voxels)} written")
    if not look.running:
        return words
    if look.voxels_per_second:
        words.append(f"{look.voxels_per_second / 1e6:.2f} Mvoxel/s")
    elif look.blocks_per_second:
        words.append(f"{60 * look.blocks_per_second:.3g} blocks/min")
    if look.remaining:
        words.append(f"{span(look.remaining)} left")
    if look.quiet:
        words.append(f"no new block for {span(look.quiet)}")
    if look.worker_count:
        words.append(counted(look.worker_count, "worker"))
    if look.host:
        words.append(f"on {look.host}, as its files tell")
    return words


def _print_json(look: Look) -> None:
    click.echo(json.dumps({**asdict(look), "remaining": look.remaining}))


def _plain() -> Callable[[Any], None]:
    told: set[str] = set()

    def show(look: Look) -> None:
        for failure in look.failures:
            if failure not in told:
                told.add(failure)
                click.echo(failure)
        click.echo(line_of(look))

    return show


@contextmanager
def _live() -> Iterator[Callable[[Any], None]]:
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(look: Look) -> None:
            live.update(picture(look), refresh=True)

        yield show


def picture(look: Look) -> Group:
    """Return a look for a terminal."""
    job = f" {look.job}" if look.job else ""
    head = Text(f"{look.out}:{job} {'running' if look.running else 'at rest'}")
    if look.phase is None:
        return Group(head, Text(line_of(look), style="dim"))
    bars = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    for phase in look.phases:
        bars.add_task(
            phase.name, total=phase.blocks, completed=phase.done + phase.failed
        )
    table = Table.grid(padding=(0, 2))
    for worker in look.workers[:_WORKERS]:
        table.add_row(Text(worker.name), Text("; ".join(worker.blocks), style="dim"))
    if len(look.workers) > _WORKERS:
        table.add_row(f"and {len(look.workers) - _WORKERS} more", "")
    failed = [Text(line, style="red") for line in look.failures[-_FAILURES:]]
    return Group(head, bars, Text(", ".join(_pace(look))), table, *failed)
