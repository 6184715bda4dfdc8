"""``blockseg debug``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.checks_settings import DebugSettings
from blockseg.config.merging import read_settings

from .options import click_options, given, without_config

_FAILED = 3


@click.command()
@click.argument("out")
@without_config(click_options(DebugSettings))
def debug(out: str, **options: Any) -> None:
    """Pack everything about a block of OUT into one zip file, and run it alone.

    The file contains the voxels that the block reads, what the run was asked and decided,
    versions, the traceback of its last failure, and its log lines. Then the block runs in
    this process, without Dask; nothing is written to OUT. More: docs/checks.md.

    Exit codes: 0 the block succeeded; 1 there is no such block; 3 it failed.
    """
    from blockseg.checks.debugging.run import debug as job

    from .progress import watcher

    settings = read_settings(DebugSettings, given(options))
    with watcher(quiet=False, as_json=False) as watch:
        found = job(out, settings, on_event=watch)
    state = f"Block {found.block} is {found.state}"
    click.echo(f"{state}: {found.error}" if found.error else f"{state}.")
    if found.traceback:
        click.echo("Alone it fails:")
        click.echo(found.traceback.rstrip())
    elif settings.rerun:
        took = ", ".join(f"{name} {spent:.2f} s" for name, spent in found.seconds)
        click.echo(f"Alone it goes through: {took}.")
        if found.different is not None:
            click.echo(f"OUT holds {found.different} of its voxels otherwise.")
    click.echo(f"Bundle: {found.bundle}")
    if not found.passed:
        click.get_current_context().exit(_FAILED)
