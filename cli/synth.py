"""``blockseg synth``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.presets import load_config
from blockseg.config.settings import RunSettings
from blockseg.config.synth_settings import SynthSettings

from .options import click_options, given, options_of, with_options, without_config


@click.command()
@click.argument("out")
@without_config(click_options(SynthSettings))
@with_options(options_of("synth"))
@click.option("--overwrite", is_flag=True, help="Start over if OUT has a brain.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def synth(
    out: str,
    config: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Write a synthetic brain with its truth to the OME-Zarr OUT.

    The truth is in labels/truth (1 on neurites), labels/neurons and labels/branches
    (an id each), and in .blockseg/truth/: centrelines as SWC, branches.csv with SNRs,
    blocks.csv with the true values of block metrics. More: docs/synth.md.
    """
    from blockseg.synthesis.run import synth as make
    from blockseg.synthesis.task import Recipe

    from .outcome import print_result
    from .progress import watcher

    layers = [*(load_config(name) for name in config), given(options)]
    brain = read_settings(
        SynthSettings, *(_of(layer, brain=True) for layer in layers), automatic=False
    )
    settings = read_settings(
        RunSettings, *(_of(layer, brain=False) for layer in layers)
    )
    recipe = Recipe(brain.shape, brain.preset, brain.seed, brain.swc)
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = make(
            out, recipe, settings, overwrite=overwrite, on_event=watch, command=command
        )
    if not quiet or not result.complete:
        print_result(result)
    if not result.complete:
        click.get_current_context().exit(3)


def _of(layer: dict[str, Any], *, brain: bool) -> dict[str, Any]:
    names = declared(SynthSettings)
    return {key: value for key, value in layer.items() if (key in names) is brain}
