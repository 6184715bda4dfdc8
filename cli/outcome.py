"""The last lines of a run: what was written, what was not, what to do next."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from blockseg.blockwise.block_holes import hole_lines
from blockseg.blockwise.record.skipping import sparse_lines
from blockseg.core.text import blockseg_command, counted, span

from .wrapped import say

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult

_SHOWN = 10


def print_result(result: JobResult) -> None:
    """Print the outcome for a human."""
    written = result.totals.get("written", 0)
    if result.complete:
        rate = f" ({_rate(result)})" if result.session_voxels else ""
        click.echo(
            f"Done: {counted(result.blocks, 'block')}, {voxels(written)} in "
            f"{span(result.seconds)}{rate}{_share(result, written)}."
        )
    else:
        left = result.blocks - result.done
        click.echo(
            f"Incomplete: {left} of {counted(result.blocks, 'block')} not written."
        )
    nonfinite = result.totals.get("nonfinite", 0)
    if nonfinite:
        click.echo(
            f"Note: {nonfinite} NaN or infinite voxels were taken as background."
        )
    for how, blocks in result.otherwise.items():
        say(f"Note: {counted(blocks, 'block')} {how}.")
    for remark in (*hole_lines(result.holes), *result.remarks):
        say(f"Note: {remark}.")
    for line in sparse_lines(result.sparse):
        click.echo(line)
    for failure in result.failures[:_SHOWN]:
        click.echo(f"  {failure.phase} block {failure.index}: {failure.error}")
    if len(result.failures) > _SHOWN:
        click.echo(
            f"  and {len(result.failures) - _SHOWN} more: "
            f"{blockseg_command('status', result.out)}"
        )
    if result.stopped:
        say(f"Stopped: {result.stopped}")
    if not result.complete:
        click.echo("Run the same command again to try what is missing.")
    click.echo(f"Result: {result.out}")
    if result.complete and (result.out / "labels" / "foreground").is_dir():
        click.echo(f"Look at it: {blockseg_command('preview', result.out)}")


def _share(result: JobResult, written: int) -> str:
    """Return how much is foreground; nothing of a copy, which looks for none."""
    found = result.totals.get("foreground", 0)
    if not found and not (result.out / "labels" / "foreground").is_dir():
        return ""
    return f"; {100 * found / max(written, 1):.2g} % foreground"


def result_as_json(result: JobResult) -> dict[str, Any]:
    """Return the outcome for a machine."""
    data = asdict(result)
    sparse = None if result.sparse is None else result.sparse.to_plain()
    data |= {"out": str(result.out), "sparse": sparse}
    return {"event": "result", "complete": result.complete, **data}


def _rate(result: JobResult) -> str:
    return f"{voxels(result.session_voxels / max(result.seconds, 1e-9))}/s"


def voxels(number: float) -> str:
    """Return a number of voxels as people say it."""
    if number < 1e5:
        return f"{number:,.0f} voxels"
    millions = number / 1e6
    return (
        f"{millions:,.0f} million voxels"
        if number >= 1e9
        else f"{millions:.3g} million voxels"
    )
