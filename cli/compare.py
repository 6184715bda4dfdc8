"""``blockseg compare``."""

from __future__ import annotations

from typing import Any

import click

from blockseg.config.merging import read_settings
from blockseg.config.regions_settings import CompareSettings

from .options import click_options, without_config


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--truth",
    multiple=True,
    metavar="TRUTH",
    help="Score both against this, as blockseg evaluate does.",
)
@without_config(click_options(CompareSettings))
@click.option("-o", "--output", metavar="FILE.html", help="The page. [compare.html]")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def compare(
    first: str,
    second: str,
    truth: tuple[str, ...],
    output: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Show what differs between A and B, two runs or masks of the same volume.

    Prints how many voxels differ: by SNR if a run measured it, by region with --atlas, and
    with --truth which of the two is better. Writes a page with a map and pictures of the
    differences. More: docs/report.md.
    """
    from blockseg.comparison.page import lines
    from blockseg.comparison.run import compare as job
    from blockseg.comparison.write import page_target, write_comparison

    from .scores import bar

    settings = read_settings(CompareSettings, options)
    target = page_target(output)
    with bar(quiet=quiet, what="Comparing") as on_part:
        found = job(first, second, truth, settings, on_part=on_part)
    write_comparison(found, target)
    if not quiet:
        for line in lines(found):
            click.echo(line)
        click.echo(f"Look at them: {target}")
