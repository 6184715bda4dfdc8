"""``blockseg status``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

_SHOWN = 10


@click.command()
@click.argument("out")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tracebacks", is_flag=True, help="Print those of failed blocks too.")
def status(out: str, as_json: bool, tracebacks: bool) -> None:
    """Show how far the run of OUT is, also while it runs."""
    from blockseg.blockwise.block_holes import hole_lines
    from blockseg.blockwise.record.skipping import sparse_lines
    from blockseg.blockwise.status import status as look

    found = look(out)
    if as_json:
        sparse = None if found.sparse is None else found.sparse.to_plain()
        plain = asdict(found) | {"sparse": sparse}
        click.echo(json.dumps(plain, indent=2))
        return
    click.echo(f"{found.out}: {found.state}")
    for phase in found.phases:
        line = f"  {phase.name}: {phase.done} of {phase.blocks} blocks"
        if phase.failed:
            line += f", {phase.failed} failed"
        click.echo(line)
    for line in sparse_lines(found.sparse):
        click.echo(f"  {line}")
    for line in found.damaged[:_SHOWN]:
        click.echo(f"  damaged: {line}")
    if len(found.damaged) > _SHOWN:
        click.echo(f"  damaged: {len(found.damaged) - _SHOWN} more files")
    for line in hole_lines(found.holes):
        click.echo(f"  {line}")
    for failure in found.failures:
        click.echo(f"  {failure.phase} block {tuple(failure.index)}: {failure.error}")
        if tracebacks and failure.traceback:
            click.echo("    " + failure.traceback.rstrip().replace("\n", "\n    "))
    if found.state in ("stopped", "damaged") or found.failures:
        click.echo(f"Go on with: {found.command}")
