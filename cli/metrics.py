"""``blockseg metrics``."""

from __future__ import annotations

from typing import Any

import click

from .options import options_of, settings_of, with_options


@click.command()
@click.argument("source")
@click.argument("out", required=False)
@with_options(options_of("metrics"))
@click.option("--overwrite", is_flag=True, help="Start over if OUT has metrics.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def metrics(
    source: str,
    out: str | None,
    config: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure the blocks of the brain SOURCE without a network.

    For a first choice of blocks to annotate, before there are weights: whatever is bright
    counts as foreground. OUT is NAME.metrics.zarr next to SOURCE if not given; OUT/blocks
    has one OME-Zarr image per metric, with one voxel per cube of 64 voxels.
    The same command again resumes what was stopped.
    """
    from blockseg.measurement.run import metrics as measure

    from .outcome import print_result
    from .progress import watcher

    settings = settings_of(config, options)
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = measure(
            source, out, settings, overwrite=overwrite, on_event=watch, command=command
        )
    if not quiet or not result.complete:
        print_result(result)
    if not result.complete:
        click.get_current_context().exit(3)
