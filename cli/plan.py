"""``blockseg plan``."""

from __future__ import annotations

import json
from typing import Any

import click

from .options import RUN_OPTIONS, settings_of, with_options


@click.command()
@click.argument("source")
@click.argument("out", required=False)
@with_options(RUN_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    source: str,
    out: str | None,
    config: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Say what `blockseg run` with the same arguments would take; write nothing."""
    from blockseg.segmentation.forecast import plan as foresee

    found = foresee(source, out, settings_of(config, options))
    if as_json:
        click.echo(json.dumps(found.to_plain(), indent=2))
        return
    for line in found.lines():
        click.echo(line)
