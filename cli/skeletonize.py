"""``blockseg skeletonize``."""

from __future__ import annotations

import json
from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.config.skeletonize_settings import SkeletonizeSettings

from .options import click_options, given, options_of, without_config


@click.command()
@click.argument("out")
@click.option(
    "-o", "--traces", metavar="FOLDER", help="Where the traces go. [OUT/traces]"
)
@without_config(click_options(SkeletonizeSettings))
@without_config(options_of("skeletonize"))
@click.option("--overwrite", is_flag=True, help="Start over if there are traces.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def skeletonize(
    out: str,
    traces: str | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Trace the clean objects of OUT, a run that blockseg label was run on.

    Lines continue across blocks. TRACES/swc/ID.swc has a file for each object above
    --min-length, in µm from the origin of the source; TRACES/neuroglancer is a layer of
    skeletons; TRACES/objects.csv has length, ends and branch points of every object. The
    same command again resumes what was stopped. More: docs/traces.md.

    Exit codes: 0 everything is written; 1 bad input or settings; 3 incomplete;
    130 interrupted.
    """
    from blockseg.voxel_sizes import skeletonize as trace

    from .outcome import print_result, result_as_json
    from .progress import watcher

    names = declared(SkeletonizeSettings)
    known = given(options)
    chosen = read_settings(
        SkeletonizeSettings,
        {key: value for key, value in known.items() if key in names},
    )
    settings = read_settings(
        RunSettings, {key: value for key, value in known.items() if key not in names}
    )
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=as_json) as watch:
        found = trace(
            out,
            traces,
            chosen,
            settings,
            overwrite=overwrite,
            on_event=watch,
            command=command,
        )
    if as_json:
        click.echo(json.dumps(result_as_json(found.job) | found.to_plain()))
    elif not found.complete:
        print_result(found.job)
    elif not quiet:
        for line in found.lines():
            click.echo(line)
    if not found.complete:
        click.get_current_context().exit(3)
