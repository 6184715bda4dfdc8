"""``blockseg synth``."""

from __future__ import annotations

from typing import Any

import click

from .options import options_of, settings_of, with_options

__all__ = ["synth"]


@click.command()
@click.argument("out")
@click.option("--shape", default="384,512,512", metavar="Z,Y,X", help="In voxels.")
@click.option("--preset", default="fmost", help="fmost, lightsheet or clean.")
@click.option("--seed", default="0", metavar="N", help="Which one of its kind. [0]")
@click.option(
    "--swc",
    multiple=True,
    metavar="FILE|FOLDER",
    help="Place these real neurons (in µm) instead of procedural ones; repeatable.",
)
@with_options(options_of("synth"))
@click.option("--overwrite", is_flag=True, help="Start anew where OUT has a brain.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def synth(
    out: str,
    shape: str,
    preset: str,
    seed: str,
    swc: tuple[str, ...],
    config: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Write a synthetic brain with its truth to the OME-Zarr OUT.

    The truth lies in labels/truth (1 on neurites), labels/neurons and labels/branches
    (an id each), and in .blockseg/truth/: centrelines as SWC, branches.csv with SNRs,
    blocks.csv with what block metrics estimate. More: docs/synth.md.
    """
    from blockseg.config import values
    from blockseg.config.values import parse_shape
    from blockseg.synthesis.run import Recipe
    from blockseg.synthesis.run import synth as make

    from .progress import watcher
    from .report import print_result

    which = values.parse_int(0)("seed", seed)
    recipe = Recipe(parse_shape("shape", shape), preset, which, swc)
    settings = settings_of(config, options)
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = make(
            out, recipe, settings, overwrite=overwrite, on_event=watch, command=command
        )
    if not quiet or not result.complete:
        print_result(result)
    if not result.complete:
        click.get_current_context().exit(3)
