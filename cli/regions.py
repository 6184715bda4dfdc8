"""``blockseg regions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.regions_settings import RegionsSettings
from blockseg.core.text import counted

from .options import click_options, options_of, settings_of, without_config

if TYPE_CHECKING:
    from blockseg.regions.run import RegionsResult

_SHOWN = 12


@click.command()
@click.argument("out")
@without_config(click_options(RegionsSettings))
@without_config(options_of("regions"))
@click.option("--overwrite", is_flag=True, help="Start over if OUT has a table.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def regions(out: str, overwrite: bool, quiet: bool, **options: Any) -> None:
    """Count axon length, density, voxels and objects of OUT in each region of an atlas.

    OUT is the output of blockseg run, with labels (blockseg label) and traces (blockseg
    skeletonize). OUT/regions gets regions.csv, a chart, and with --transform the traces in
    the space of the atlas. The same command again resumes what was stopped.
    More: docs/regions.md.
    """
    from blockseg.regions.run import regions as count

    from .outcome import print_result
    from .progress import watcher

    asked = {name: options.pop(name) for name in declared(RegionsSettings)}
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = count(
            out,
            read_settings(RegionsSettings, asked),
            settings_of((), options),
            overwrite=overwrite,
            on_event=watch,
            command=command,
        )
    if not result.job.complete:
        print_result(result.job)
        click.get_current_context().exit(3)
    if not quiet:
        _print(result)


def _print(result: RegionsResult) -> None:
    rows = [row for row in result.rows if row.own.length_um or row.own.voxels]
    rows.sort(key=lambda row: -row.own.length_um)
    click.echo(f"{'region':32} {'axon mm':>10} {'mm/mm³':>10} {'objects':>8}")
    for row in rows[:_SHOWN]:
        density = row.own.density
        click.echo(
            f"{(row.acronym or row.name)[:32]:32} {row.own.length_um / 1000:10.4g} "
            f"{'' if density is None else format(density / 1000, '.4g'):>10} "
            f"{row.own.objects:8d}"
        )
    if len(rows) > _SHOWN:
        click.echo(f"and {counted(len(rows) - _SHOWN, 'region')} more")
    for note in result.notes:
        click.echo(f"Note: {note}.")
    click.echo(f"Chart: {result.folder / 'regions.png'}")
    click.echo(f"Result: {result.folder / 'regions.csv'}")
