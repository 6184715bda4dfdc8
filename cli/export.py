"""``blockseg export``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.export_settings import ExportSettings
from blockseg.config.merging import read_settings

from .options import click_options, options_of, settings_of, without_config


@click.command()
@click.argument("place", metavar="OUT|SOURCE")
@without_config(click_options(ExportSettings))
@without_config(options_of("export"))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def export(place: str, overwrite: bool, quiet: bool, **options: Any) -> None:
    """Write an image with large voxels as one TIFF or NIfTI file, for registration.

    For OUT, an output of blockseg run, this is the region that was segmented; for any
    other SOURCE, the whole or --roi. Voxels are means, from a coarse level if one is fine
    enough. The same command again resumes what was stopped. More: docs/regions.md.
    """
    from blockseg.export.run import export as write

    from .outcome import print_result
    from .progress import watcher

    mine = declared(ExportSettings)
    asked = {name: options.pop(name) for name in mine}
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = write(
            place,
            read_settings(
                ExportSettings, {k: v for k, v in asked.items() if v is not None}
            ),
            settings_of((), options),
            overwrite=overwrite,
            on_event=watch,
            command=command,
        )
    if not result.job.complete:
        print_result(result.job)
        click.get_current_context().exit(3)
    if quiet:
        return
    for note in result.notes:
        click.echo(f"Note: {note}.")
    shape = "×".join(map(str, result.shape))
    size = "×".join(f"{edge:g}" for edge in result.space.voxel_size)
    place_ = ",".join(
        f"{t - s / 2:.10g}"
        for t, s in zip(result.space.translation, result.space.voxel_size, strict=True)
    )
    click.echo(f"Averaged: {result.read}")
    click.echo(f"Result: {result.file}, {shape} voxels of {size} µm (z×y×x)")
    click.echo(f"Its lower corner lies at {place_} µm (z,y,x).")
