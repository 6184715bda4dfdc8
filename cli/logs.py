"""``blockseg logs``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from blockseg.blockwise.logs.reading import LogLine

_HIDDEN = frozenset({"phase", "traceback", "seconds"})


@click.command()
@click.argument("out")
@click.option("--block", metavar="Z,Y,X", help="What happened to this block.")
@click.option(
    "--worker", metavar="NAME", help="What this worker did; part of its name."
)
@click.option("--failed", is_flag=True, help="What went wrong, and nothing else.")
@click.option("--tracebacks", is_flag=True, help="Print those of errors too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def logs(
    out: str,
    block: str | None,
    worker: str | None,
    failed: bool,
    tracebacks: bool,
    as_json: bool,
) -> None:
    """Show what happened in the runs of OUT: when, on which worker, for how long.

    Without --block or --worker, the routine events of blocks are left out. The lines come
    from OUT/.blockseg/logs, which has a file for each start and each worker. More:
    docs/checks.md.
    """
    from blockseg.blockwise.logs.reading import read_logs
    from blockseg.config.checks_settings import parse_index

    index = None if block is None else parse_index("block", block)
    empty = True
    for line in read_logs(out, index, worker, failed=failed):
        empty = False
        if as_json:
            click.echo(json.dumps(line.to_plain()))
            continue
        click.echo(_said(line))
        if tracebacks and (text := line.values.get("traceback")):
            click.echo("    " + str(text).rstrip().replace("\n", "\n    "))
    if empty and not as_json:
        click.echo("The logs tell of nothing like that.")


def _said(line: LogLine) -> str:
    moment = datetime.fromtimestamp(line.time, UTC)
    words = [f"{moment:%Y-%m-%d %H:%M:%S}Z", f"start {line.session}"]
    words += [line.part] if line.part else []
    if phase := line.values.get("phase"):
        words.append(str(phase))
    if line.block is not None:
        words.append(f"block {','.join(map(str, line.block))}")
    words.append(line.event)
    if line.worker:
        words.append(f"on {line.worker}")
    seconds = line.values.get("seconds")
    if isinstance(seconds, dict) and seconds:
        words.append(f"({', '.join(f'{k} {v:.2f} s' for k, v in seconds.items())})")
    told = [
        f"{name} {_plain(value)}"
        for name, value in line.values.items()
        if name not in _HIDDEN and value not in ("", [], {}, None)
    ]
    return "  ".join(words) + (f": {', '.join(told)}" if told else "")


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
