"""``blockseg finalize``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings

from .options import given, options_of, without_config


@click.command()
@click.argument("out")
@without_config(options_of("finalize"))
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def finalize(out: str, quiet: bool, **options: Any) -> None:
    """Combine the parts of OUT, which `blockseg run --part I/N` has done.

    Combines their ledgers, then makes the coarse levels, the metric images and the report.
    If parts are missing, they are named, and nothing is done.

    Exit codes: 0 every block is written; 1 bad input or settings; 3 incomplete;
    130 interrupted.
    """
    from blockseg.checks.finalize import finalize as job

    from .outcome import print_result
    from .progress import watcher

    execution = read_settings(RunSettings, given(options))
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = job(out, execution, on_event=watch, command=command)
    if not quiet or not result.complete:
        print_result(result)
    if not result.complete:
        click.get_current_context().exit(3)
