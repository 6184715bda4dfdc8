"""``blockseg info``."""

from __future__ import annotations

import json
from typing import Any

import click

from .options import options_of, settings_of, with_options


@click.command()
@click.argument("source")
@with_options(options_of("info"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(source: str, as_json: bool, config: tuple[str, ...], **options: Any) -> None:
    """Show what SOURCE is: format, arrays, levels, voxel size, and what run takes.

    In a sample it measures width and contrast of what stands out, says where that lies
    outside of what weights were trained for (--weights: others than the default), and
    recommends shipped weights and a --downsample that suit it.
    """
    from blockseg.inspection import inspect

    settings = settings_of(config, options)
    found = inspect(source, settings.choices, settings.weights)
    if as_json:
        click.echo(json.dumps(found.to_plain(), indent=2, default=str))
        return
    for line in found.lines():
        click.echo(line)
