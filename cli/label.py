"""``blockseg label``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.label_settings import LabelSettings
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings

from .options import click_options, given, options_of, without_config


@click.command()
@click.argument("out")
@without_config(click_options(LabelSettings))
@without_config(options_of("label"))
@click.option("--overwrite", is_flag=True, help="Start over if OUT has labels.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def label(
    out: str, overwrite: bool, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Label the objects of OUT, a finished run, whole across its blocks.

    Writes OUT/labels/components (all objects, an id each), OUT/labels/foreground_clean (1
    on those that pass) and OUT/tables/objects.csv; with --somata OUT/tables/somata.csv.
    The same command again resumes what was stopped. More: docs/labels.md.

    Exit codes: 0 everything is written; 1 bad input or settings; 3 incomplete;
    130 interrupted.
    """
    from blockseg.labelling.workers import prepare_workers

    prepare_workers(options["scheduler"])  # which takes as long as what follows

    from blockseg.voxel_sizes import label as job

    from .objects import show_labelled
    from .progress import watcher

    names = declared(LabelSettings)
    chosen = given(options)
    settings = read_settings(
        LabelSettings, {key: value for key, value in chosen.items() if key in names}
    )
    execution = read_settings(
        RunSettings, {key: value for key, value in chosen.items() if key not in names}
    )
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=as_json) as watch:
        found = job(
            out,
            settings,
            execution,
            overwrite=overwrite,
            on_event=watch,
            command=command,
        )
    show_labelled(found, quiet=quiet, as_json=as_json)
    if not found.complete:
        click.get_current_context().exit(3)
