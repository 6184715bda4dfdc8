"""``blockseg predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import PREDICT_OPTIONS, ManyOptions, settings_of, with_options


@click.command(cls=ManyOptions)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE.tif...")
@click.option("-o", "--output", required=True, metavar="DIR", help="Takes the results.")
@with_options(PREDICT_OPTIONS)
def predict(
    images: tuple[str, ...], output: str, config: tuple[str, ...], **options: Any
) -> None:
    """Segment single stacks, exactly, in this process.

    Writes {name}_prob.tif (0 to 255) and {name}_mip.png (the image's projection
    above that of the probability) for each IMAGE.
    """
    from blockseg.segmentation.predict import predict_files

    settings = settings_of(config, options)
    for done in predict_files(images, Path(output), settings):
        share = 100 * done.foreground
        click.echo(f"{done.source}: {share:.2g} % foreground, {done.probability}")
        for remark in done.remarks:
            click.echo(f"Note: {remark}.")
