"""``blockseg preview``."""

from __future__ import annotations

import click


@click.command()
@click.argument("out")
@click.option("-o", "--output", metavar="PNG", help="[OUT/.blockseg/preview.png]")
def preview(out: str, output: str | None) -> None:
    """Draw maximum projections of image, probability, mask and objects of OUT."""
    from blockseg.previews import preview as draw

    click.echo(draw(out, output))
