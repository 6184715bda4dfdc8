"""``blockseg retry``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings

from .options import given, options_of, without_config


@click.command()
@click.argument("out")
@without_config(options_of("retry"))
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def retry(out: str, quiet: bool, **options: Any) -> None:
    """Try the blocks of OUT that are in quarantine again, and whatever else is missing.

    This does what giving the run's own command again would do, but you need not know that
    command: everything that was asked is stored in OUT.

    Exit codes: 0 every block is written; 1 bad input or settings; 3 incomplete;
    130 interrupted.
    """
    from blockseg.checks.retry import retry as job

    from .outcome import print_result
    from .progress import watcher

    execution = read_settings(RunSettings, given(options))
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        results = job(out, execution, on_event=watch, command=command)
    if not results and not quiet:
        click.echo(f"Every block of {out} is written: there is nothing to try again.")
    for result in results:
        if not quiet or not result.complete:
            print_result(result)
    if not all(result.complete for result in results):
        click.get_current_context().exit(3)
