"""``blockseg convert``."""

from __future__ import annotations

from typing import Any

import click

from .options import options_of, settings_of, with_options


@click.command()
@click.argument("source")
@click.argument("out")
@with_options(options_of("convert"))
@click.option("--overwrite", is_flag=True, help="Start over if OUT has a conversion.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def convert(
    source: str,
    out: str,
    config: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Copy SOURCE to the OME-Zarr OUT, with coarse levels made by averaging.

    The same command again resumes what was stopped.
    """
    from blockseg.conversion import convert as copy

    from .outcome import print_result
    from .progress import watcher

    settings = settings_of(config, options)
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = copy(
            source, out, settings, overwrite=overwrite, on_event=watch, command=command
        )
    if not quiet or not result.complete:
        print_result(result)
    if not result.complete:
        click.get_current_context().exit(3)
