"""``blockseg view``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.config.view_settings import ViewSettings

from .options import click_options, given, options_of, without_config


@click.command()
@click.argument("place", metavar="OUT|SOURCE")
@without_config(click_options(ViewSettings))
@without_config(options_of("view"))
def view(place: str, **options: Any) -> None:
    """Look at OUT, a finished or running run, or at any SOURCE, in a browser.

    Image, probability, mask, objects, skeletons and metrics of the blocks are layers of
    Neuroglancer, which is served on this machine only, to those who know the address. With
    --weights, the probability of SOURCE is predicted wherever you look. More: docs/view.md.
    """
    from blockseg.viewing.run import view as show

    names = declared(ViewSettings)
    chosen = given(options)
    settings = read_settings(
        ViewSettings, {key: value for key, value in chosen.items() if key in names}
    )
    source = read_settings(
        RunSettings, {key: value for key, value in chosen.items() if key not in names}
    )
    show(place, settings, source, said=click.echo)
