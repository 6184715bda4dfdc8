"""``blockseg status``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from blockseg.core.errors import ConfigError

from .wrapped import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blockseg.blockwise.part_status import FailedBlockStatus, PhaseStatus

_SHOWN = 10
_EVERY, _LEAST, _MOST = 5, 0.1, 86_400.0


class _Status(click.Command):
    """Takes ``--watch OUT`` as well: what follows is the seconds only if it is a number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        following = (*args[1:], "")
        bare = f"--watch={_EVERY}"
        given = [
            bare if word == "--watch" and not _is_number(after) else word
            for word, after in zip(args, following, strict=True)
        ]
        return super().parse_args(ctx, given)


@click.command(cls=_Status)
@click.argument("out")
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=str(_EVERY),
    help=f"Refresh at this interval until the run ends. [{_EVERY}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tracebacks", is_flag=True, help="Print those of failed blocks too.")
def status(out: str, watch: str | None, as_json: bool, tracebacks: bool) -> None:
    """Show how far the run of OUT is, even while it runs.

    With --watch, a terminal shows totals, rate, time left, workers and failures until
    nobody works on OUT any more; a file or pipe gets a line each time. Ctrl-C ends the
    watch, not the run. OUT may be on a disk that another machine writes to.
    """
    if watch is not None:
        from blockseg.blockwise.watching import Watch

        from .status_watch import watch as keep_looking

        keep_looking(Watch(out), _seconds(watch), as_json=as_json)
        if as_json:
            return
    _show_status(out, as_json=as_json, tracebacks=tracebacks)


def _seconds(text: str) -> float:
    seconds = float(text) if _is_number(text) else 0.0
    if not _LEAST <= seconds <= _MOST:
        message = f"--watch takes seconds, {_LEAST:g} to {_MOST:g}, not {text!r}"
        raise ConfigError(message)
    return seconds


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _show_status(out: str, *, as_json: bool, tracebacks: bool) -> None:
    from blockseg.blockwise.block_holes import hole_lines
    from blockseg.blockwise.record.skipping import sparse_lines
    from blockseg.blockwise.status import status as look

    found = look(out)
    if as_json:
        sparse = None if found.sparse is None else found.sparse.to_plain()
        plain = asdict(found) | {"sparse": sparse}
        click.echo(json.dumps(plain, indent=2))
        return
    click.echo(f"{found.out}: {found.state}")
    _show(found.phases, ())
    for line in sparse_lines(found.sparse):
        click.echo(f"  {line}")
    _show((), found.damaged)
    if found.every > 1:
        click.echo(
            f"  files of one block in {found.every} were looked at; blockseg verify "
            "compares all"
        )
    for line in hole_lines(found.holes):
        click.echo(f"  {line}")
    _show_failures(found.failures, tracebacks=tracebacks)
    goes_on = found.state in ("stopped", "damaged", "not put together")
    if (goes_on or found.failures) and found.command:
        click.echo(f"Go on with: {found.command}")
    for part in found.parts:
        click.echo(f"{part.name} of {found.out}: {part.state}")
        if part.stale:
            say(f"  stale: it {part.stale}; remake it with: {part.anew}")
        _show(part.phases, part.damaged)
        _show_failures(part.failures, tracebacks=tracebacks)
        if part.state in ("stopped", "damaged") or part.failures:
            click.echo(f"Go on with: {part.command}")


def _show(phases: Iterable[PhaseStatus], damaged: Sequence[str]) -> None:
    for phase in phases:
        line = f"  {phase.name}: {phase.done} of {phase.blocks} blocks"
        if phase.failed:
            line += f", {phase.failed} failed"
        click.echo(line)
    for line in damaged[:_SHOWN]:
        click.echo(f"  damaged: {line}")
    if len(damaged) > _SHOWN:
        click.echo(f"  damaged: {len(damaged) - _SHOWN} more files")


def _show_failures(failures: Iterable[FailedBlockStatus], *, tracebacks: bool) -> None:
    for failure in failures:
        click.echo(f"  {failure.phase} block {tuple(failure.index)}: {failure.error}")
        if tracebacks and failure.traceback:
            click.echo("    " + failure.traceback.rstrip().replace("\n", "\n    "))
