"""``blockseg plan``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from .options import RUN_OPTIONS, ManyOptions, settings_of, with_options


@click.command(cls=ManyOptions)
@click.argument("source")
@click.argument("out", required=False)
@with_options(RUN_OPTIONS)
@click.option(
    "--trial/--no-trial",
    default=True,
    help="Measure the network's speed here; without, hours are estimated at once. [on]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    source: str,
    out: str | None,
    config: tuple[str, ...],
    trial: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Predict what `blockseg run` with the same arguments would take; write nothing."""
    from blockseg.runtime.events import Message
    from blockseg.segmentation.forecast import plan as foresee

    def say(event: object) -> None:
        if isinstance(event, Message) and somebody_waits():
            click.echo(event.text, err=True)

    found = foresee(
        source, out, settings_of(config, options), on_event=say, trial=trial
    )
    if as_json:
        click.echo(json.dumps(found.to_plain(), indent=2))
        return
    for line in found.lines():
        click.echo(line)


def somebody_waits() -> bool:
    """Say whether anybody looks while it is worked; scripts want the answer alone."""
    return sys.stderr.isatty()
