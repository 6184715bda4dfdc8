"""``blockseg run``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from blockseg.core.errors import ConfigError

from .options import RUN_OPTIONS, ManyOptions, settings_of, with_options

if TYPE_CHECKING:
    from blockseg.config.settings import RunSettings
    from blockseg.io.stores.location import Location

INCOMPLETE = 3


@click.command(cls=ManyOptions)
@click.argument("source")
@click.argument("out", required=False)
@with_options(RUN_OPTIONS)
@click.option("--overwrite", is_flag=True, help="Start over if OUT has a run.")
@click.option(
    "--label", is_flag=True, help="Then label its objects, as blockseg label does."
)
@click.option("--somata", is_flag=True, help="And list cell bodies; with --label.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def run(
    source: str,
    out: str | None,
    config: tuple[str, ...],
    overwrite: bool,
    label: bool,
    somata: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Segment the brain SOURCE into the OME-Zarr OUT.

    SOURCE is a volume in Zarr, N5, TIFF, Imaris, BigDataViewer, precomputed or
    Vaa3D raw, or a folder or glob of slices. OUT is NAME.blockseg.zarr beside it if not given. The same command again
    resumes a run that was stopped.

    Exit codes: 0 every block is written; 1 bad input or settings; 3 incomplete;
    130 interrupted.
    """
    from blockseg.segmentation.workers import prepare_workers

    if somata and not label:
        message = "--somata goes with --label"
        raise ConfigError(message)
    settings = settings_of(config, options)
    prepare_workers(settings)  # which takes as long as what follows

    from blockseg.runtime.dask.kept import same_workers
    from blockseg.segmentation.run import run as segment

    from .outcome import print_result, result_as_json
    from .progress import watcher

    command = click.get_current_context().obj
    with same_workers():
        with watcher(quiet=quiet, as_json=as_json) as watch:
            result = segment(
                source,
                out,
                settings,
                overwrite=overwrite,
                on_event=watch,
                command=command,
            )
        if as_json:
            click.echo(json.dumps(result_as_json(result)))
        elif not quiet or not result.complete:
            print_result(result)
        if not result.complete:
            click.get_current_context().exit(INCOMPLETE)
        if label:
            _label(result.out, settings, somata, quiet=quiet, as_json=as_json)


def _label(
    out: Location, settings: RunSettings, somata: bool, *, quiet: bool, as_json: bool
) -> None:
    from blockseg.config.label_settings import LabelSettings
    from blockseg.labelling.run import label as job

    from .objects import show_labelled
    from .progress import watcher

    command = click.get_current_context().obj
    wanted = LabelSettings(somata=somata)
    with watcher(quiet=quiet, as_json=as_json) as watch:
        found = job(str(out), wanted, settings, on_event=watch, command=command)
    show_labelled(found, quiet=quiet, as_json=as_json)
    if not found.complete:
        click.get_current_context().exit(INCOMPLETE)
