"""``blockseg density``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.regions_settings import DensitySettings

from .options import click_options, options_of, settings_of, without_config


@click.command()
@click.argument("out")
@without_config(click_options(DensitySettings))
@without_config(options_of("density"))
@click.option("--overwrite", is_flag=True, help="Start over if OUT has a map.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def density(out: str, overwrite: bool, quiet: bool, **options: Any) -> None:
    """Map the density of axon in OUT, in µm/mm³, to the OME-Zarr OUT/density.

    OUT is the output of blockseg run, with traces (blockseg skeletonize). With --transform
    the map has the space of the atlas. The same command again resumes what was stopped.
    More: docs/regions.md.
    """
    from blockseg.regions.density import density as draw

    from .outcome import print_result
    from .progress import watcher

    asked = {name: options.pop(name) for name in declared(DensitySettings)}
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = draw(
            out,
            read_settings(DensitySettings, asked),
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
    size = "×".join(f"{edge:g}" for edge in result.space.voxel_size)
    click.echo(
        f"Result: {result.image}, {result.length_um / 1000:.6g} mm of axon in voxels of "
        f"{size} µm (z×y×x)"
    )
