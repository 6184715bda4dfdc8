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
    intervals = "" if result.negative else "; 95 % intervals over blocks"
    click.echo(
        f"{result.counted:,} voxels, {blocks:,} block{'s' * (blocks != 1)} with "
        f"foreground; tolerance {result.tolerance}{intervals}"
    )
    predicted, true = result.components
    if result.negative:
        click.echo(f"{_painted(result)}, {predicted:,} components")
    else:
        Console(highlight=False).print(_table(result))
        a_block = _cell(result, "betti0_error_a_block")
        click.echo(
            f"components: {predicted:,} predicted, {true:,} true; Betti-0 error "
            f"{result.betti0_error:,}, mean of blocks {a_block}"
        )
        for line in _below(result):
            click.echo(line)
    for note in result.notes:
        click.echo(f"Note: {note}")


def _below(result: Evaluation) -> Iterator[str]:
    """Yield what else the truth lets one say, a line each."""
    names = {measure.name for measure in result.measures}
    if result.planes:
        within = result.total.planes.within
        missed, beside = within.true - within.found, result.total.planes.beside
        yield (
            f"in {result.planes:,} annotated plane{'s' * (result.planes != 1)}: of "
            f"{within.true:,} true centreline voxels {missed:,} have nothing painted near "
            f"them in the plane; {beside:,} of these have in a plane beside"
            + (f" ({_percent(result, 'misses_painted_beside')})" if missed else "")
        )
    if "surface_mean" in names:
        yield (
            f"surfaces: {result['surface_mean'].value:.2f} voxels apart in the mean, 95 % "
            f"within {result['surface_95'].value:.2f}"
        )
    if "painted_share" in names:
        yield _painted(result)


def _painted(result: Evaluation) -> str:
    return f"painted: {_percent(result, 'painted_share')} of the known background"


def _percent(result: Evaluation, name: str) -> str:
    value = result[name].value
    return "–" if math.isnan(value) else f"{100 * value:.3g} %"


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
    if result.planes:
        names = ("precision_in_plane", "recall_in_plane", "f1_in_plane")
        table.add_row("painted in plane", *(_cell(result, name) for name in names))
        table.add_row("painted in 3-D", "", _cell(result, "recall_3d"), "")
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
