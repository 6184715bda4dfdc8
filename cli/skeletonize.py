"""``blockseg skeletonize``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.presets import load_config
from blockseg.config.settings import RunSettings
from blockseg.config.skeletonize_settings import SkeletonizeSettings

from .options import click_options, given, options_of, with_options, without_config


@click.command()
@click.argument("out")
@click.option(
    "-o",
    "--traces",
    metavar="FOLDER",
    help="Where the traces go. [OUT/traces]",
)
@without_config(click_options(SkeletonizeSettings))
@with_options(options_of("skeletonize"))
@click.option(
    "--allow-partial",
    is_flag=True,
    help="Take blocks that the run has not written for background.",
)
@click.option("--overwrite", is_flag=True, help="Start anew where there are traces.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def skeletonize(
    out: str,
    traces: str | None,
    config: tuple[str, ...],
    allow_partial: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Trace the objects of the run OUT, after blockseg label: SWC, Neuroglancer, a table.

    Lines go whole through all blocks. TRACES/swc/ID.swc has a file for each object above
    --min-length, in µm from the origin of the source; TRACES/neuroglancer is a layer of
    skeletons; TRACES/objects.csv has length, ends and branch points of every object. What
    was stopped goes on when the same command is given again. More: docs/traces.md.
    """
    from blockseg.skeletonization.run import skeletonize as trace

    from .progress import watcher
    from .report import counted, print_result

    layers = [*(load_config(name) for name in config), given(options)]
    chosen = read_settings(
        SkeletonizeSettings,
        *(_of(layer, own=True) for layer in layers),
        automatic=False,
    )
    settings = read_settings(RunSettings, *(_of(layer, own=False) for layer in layers))
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=as_json) as watch:
        result = trace(
            out,
            traces,
            chosen,
            settings,
            allow_partial=allow_partial,
            overwrite=overwrite,
            on_event=watch,
            command=command,
        )
    if result.traced is None:
        print_result(result.job)
        click.get_current_context().exit(3)
    elif not quiet and not as_json:
        found = result.traced
        if result.bridges:
            click.echo(f"Closed {counted(result.bridges, 'gap')}.")
        click.echo(
            f"Done: {counted(found.objects, 'object')}, {found.length / 1000:.4g} mm; "
            f"{found.written} of {chosen.min_length:g} µm or longer, "
            f"{found.written_length / 1000:.4g} mm, written as SWC."
        )
        click.echo(f"Traces: {result.folder}")


def _of(layer: dict[str, Any], *, own: bool) -> dict[str, Any]:
    names = declared(SkeletonizeSettings)
    return {key: value for key, value in layer.items() if (key in names) is own}
