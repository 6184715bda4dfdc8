"""``blockseg preview``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.view_settings import PreviewSettings

from .options import click_options, given, options_of, settings_of, without_config


@click.command()
@click.argument("out", metavar="OUT|SOURCE")
@click.option(
    "-o", "--output", metavar="PNG", help="[OUT/.blockseg/preview.png, or here]"
)
@without_config(click_options(PreviewSettings))
@without_config(options_of("preview"))
def preview(out: str, output: str | None, **options: Any) -> None:
    """Draw OUT, a result, or SOURCE, a volume, as projections along three axes.

    For a result: image, probability, mask and objects, and the mask over the image with a
    scale bar; thin slabs too, if the brain is too dense for a projection of the whole.
    """
    from blockseg.previews import preview as draw

    names = declared(PreviewSettings)
    chosen = given(options)
    own = {key: value for key, value in chosen.items() if key in names}
    of_source = {key: value for key, value in chosen.items() if key not in names}
    settings = read_settings(PreviewSettings, own)
    click.echo(draw(out, output, settings, settings_of((), of_source).choices))
