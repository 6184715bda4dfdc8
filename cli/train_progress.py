"""Progress of a training: a live display, plain lines or JSON."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from blockseg.core.text import counted, span
from blockseg.training.events import Progress as Steps
from blockseg.training.events import (
    TrainingEvent,
    TrainingMessage,
    TrainingStarted,
    Validated,
)

from .display import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from blockseg.training.events import OnTrainingEvent, TrainingResult

_LINE_SECONDS = 10.0


def watcher(*, quiet: bool, as_json: bool) -> AbstractContextManager[OnTrainingEvent]:
    """Give a function that takes events, for as long as the display lives."""
    printer = _print_json if as_json else None
    return display(quiet=quiet, as_json=printer, live=_live, plain=_plain)


def print_result(result: TrainingResult) -> None:
    """Print the outcome for a human."""
    steps = f"{counted(result.step, 'step')} in {span(result.seconds)}"
    if not result.complete:
        click.echo(f"Incomplete: {steps}.")
        click.echo(f"Stopped: {result.stopped}")
    else:
        why = f" ({result.stopped})" if result.stopped else ""
        click.echo(f"Done: {steps}{why}.")
    if result.skipped:
        click.echo(f"Note: half precision skipped {counted(result.skipped, 'step')}.")
    if result.best_f1 is not None:
        click.echo(f"Best: step {result.best_step}, F1 {result.best_f1:.3f} at 0.5.")
    click.echo(f"Weights: {result.out / 'best.safetensors'}")
    click.echo(f"Report: {result.out / 'report.html'}")
    weights = shlex.quote(str(result.out / "best.safetensors"))
    click.echo(f"Segment with them: blockseg run BRAIN --weights {weights}")


def _print_json(event: TrainingEvent) -> None:
    click.echo(json.dumps({"event": type(event).__name__, **asdict(event)}))


def _said(event: TrainingEvent) -> list[str]:
    if isinstance(event, TrainingStarted):
        by = f" in {event.ranks} processes" if event.ranks > 1 else ""
        on = f", from step {event.step} on" if event.step else ""
        return [
            f"{event.network}, {event.parameters:,} parameters, {event.device}{by}{on}",
            *(f"Data: {line}" for line in event.sources),
            *(f"Note: {line}" for line in event.notes),
        ]
    if isinstance(event, Validated):
        best = ", the best so far" if event.improved else ""
        return [
            (
                f"step {event.step}: validation loss {event.loss:.4f}, F1 {event.f1:.3f} "
                f"(precision {event.precision:.3f}, recall {event.recall:.3f}); "
                f"{event.best_f1:.3f} at {event.best_threshold:.2f}{best}"
            )
        ]
    if isinstance(event, TrainingMessage):
        return [event.text]
    return []


def _pace(event: Steps) -> str:
    left = "" if event.remaining is None else f", {span(event.remaining)} left"
    return (
        f"loss {event.loss:.4f}, rate {event.rate:.2g}, "
        f"{event.voxels_per_second / 1e6:.3g} Mvoxel/s{left}"
    )


def _plain() -> Callable[[TrainingEvent], None]:
    last = -_LINE_SECONDS

    def show(event: TrainingEvent) -> None:
        nonlocal last
        for line in _said(event):
            click.echo(line)
        if isinstance(event, Steps) and time.monotonic() - last > _LINE_SECONDS:
            last = time.monotonic()
            click.echo(f"step {event.step} ({100 * event.share:.0f} %): {_pace(event)}")

    return show


@contextmanager
def _live() -> Iterator[Callable[[TrainingEvent], None]]:
    console = Console(highlight=False)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[pace]}", style="dim"),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("preparing", total=None, pace="")

        def show(event: TrainingEvent) -> None:
            for line in _said(event):
                console.print(line, markup=False)
            if isinstance(event, TrainingStarted):
                bar.update(task, description="training")
            if isinstance(event, Steps):
                bar.update(
                    task,
                    description=f"step {event.step}",
                    total=1.0,
                    completed=event.share,
                    pace=_pace(event),
                )

        yield show
