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
    """Describe SOURCE: format, arrays, levels, voxel size, and what run would read.

    Measures the width and contrast of structures in a sample, and recommends weights and
    --downsample if others suit the volume better.
    """
    from blockseg.inspection import inspect

    found = inspect(source, settings_of(config, options).choices)
    if as_json:
        click.echo(json.dumps(found.to_plain(), indent=2, default=str))
        return
    for line in found.lines():
        click.echo(line)
