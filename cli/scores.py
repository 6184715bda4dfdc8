"""The table that ``blockseg evaluate`` prints, and its progress."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

    from blockseg.evaluation.run import Evaluation


@contextlib.contextmanager
def bar(
    *, quiet: bool, what: str = "Scoring blocks"
) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many blocks are done, where somebody looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def on_block(done: int, blocks: int) -> None:
            progress.update(task, completed=done, total=blocks)

        yield on_block


def print_scores(result: Evaluation) -> None:
    """Print the table, what lies below it, and the notes."""
    from rich.console import Console

    blocks = len(result.blocks)
    click.echo(
        f"{result.counted:,} voxels, {blocks:,} block{'s' * (blocks != 1)} with "
        f"foreground; tolerance {result.tolerance}; 95 % intervals over blocks"
    )
    Console(highlight=False).print(_table(result))
    predicted, true = result.components
    a_block = _cell(result, "betti0_error_a_block")
    click.echo(
        f"components: {predicted:,} predicted, {true:,} true; Betti-0 error "
        f"{result.betti0_error:,}, mean of blocks {a_block}"
    )
    for note in result.notes:
        click.echo(f"Note: {note}")


def _table(result: Evaluation) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for name in ("precision", "recall", "F1"):
        table.add_column(name, justify="right", no_wrap=True)
    if not result.traced:
        _row(result, table, "voxels (F1: Dice)", "voxel", "dice")
        _row(result, table, "voxels, tolerant", "near", "f1")
    _row(result, table, "centreline", "centreline", "f1")
    for k, counts in enumerate(result.total.by_snr):
        if counts.true:
            table.add_row(
                f"  SNR {_range(result.snr_edges, k)}",
                "",
                _cell(result, f"snr_recall_{k}"),
                _cell(result, f"snr_f1_{k}"),
            )
    if not result.traced:
        names = ("topology_precision", "topology_sensitivity", "cl_dice")
        table.add_row("clDice", *(_cell(result, name) for name in names))
    return table


def _row(result: Evaluation, table: Table, title: str, name: str, last: str) -> None:
    cells = (_cell(result, f"{name}_{part}") for part in ("precision", "recall", last))
    table.add_row(title, *cells)


def _cell(result: Evaluation, name: str) -> str:
    found = result[name]
    if math.isnan(found.value):
        return "–"
    if math.isnan(found.low):
        return f"{found.value:.3f}"
    return f"{found.value:.3f} {found.low:.3f}–{found.high:.3f}"


def _range(edges: tuple[float, ...], k: int) -> str:
    if k == 0:
        return f"below {edges[0]:g}"
    if k == len(edges):
        return f"from {edges[-1]:g}"
    return f"{edges[k - 1]:g} to {edges[k]:g}"
