"""``blockseg threshold``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.config.view_settings import ThresholdSettings

from .options import click_options, given, options_of, without_config

if TYPE_CHECKING:
    from blockseg.thresholding.run import Thresholded

_MAKES = {"label": "blockseg label", "skeletonize": "blockseg skeletonize"}


@click.command()
@click.argument("out")
@click.argument("threshold", metavar="P")
@without_config(click_options(ThresholdSettings))
@without_config(options_of("threshold"))
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def threshold(
    out: str, threshold: str, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Give OUT, a finished run, the threshold P, without inference.

    OUT is then what `blockseg run --threshold P` would have written: the mask, its coarse
    levels and the metrics are made again from the stored probability. Objects and traces
    stay, but are stale until they are remade. The same command again resumes what was
    stopped.

    Exit codes: 0 everything is written; 1 bad input or settings; 3 incomplete;
    130 interrupted.
    """
    from blockseg.labelling.workers import prepare_workers

    names = declared(ThresholdSettings)
    chosen = given(options)
    own = {key: value for key, value in chosen.items() if key in names}
    rest = {key: value for key, value in chosen.items() if key not in names}
    settings = read_settings(ThresholdSettings, own)
    execution = read_settings(RunSettings, rest)
    wanted = read_settings(RunSettings, {"threshold": threshold}).threshold
    prepare_workers(options["scheduler"])  # which takes as long as what follows

    from blockseg.runtime.dask.kept import same_workers
    from blockseg.thresholding.run import threshold as job

    from .progress import watcher

    with same_workers(), watcher(quiet=quiet, as_json=as_json) as watch:
        found = job(
            out,
            wanted,
            settings,
            execution,
            on_event=watch,
            command=click.get_current_context().obj,
        )
    _show(found, quiet=quiet, as_json=as_json)
    if not found.complete:
        click.get_current_context().exit(3)


def _show(found: Thresholded, *, quiet: bool, as_json: bool) -> None:
    from .objects import show_labelled
    from .outcome import print_result, result_as_json

    if as_json:
        said = {"threshold": found.threshold, "stale": found.stale}
        click.echo(json.dumps(result_as_json(found.result) | said))
    elif not quiet or not found.result.complete:
        print_result(found.result)
        for note in found.notes:
            click.echo(f"Note: {note}.")
        for part, command in _MAKES.items():
            if part in found.stale:
                click.echo(
                    f"Stale: the result of {part} was made by another threshold; make it "
                    f"anew with: {command} {found.result.out} --overwrite"
                )
    if found.labelled is not None:
        show_labelled(found.labelled, quiet=quiet, as_json=as_json)
