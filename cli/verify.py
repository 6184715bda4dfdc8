"""``blockseg verify``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from blockseg.checks.verification.findings import Kind
from blockseg.config.checks_settings import VerifySettings
from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.core.text import blockseg_command, counted, span

from .options import click_options, given, options_of, without_config

if TYPE_CHECKING:
    from blockseg.checks.verification.findings import Verification

_SHOWN = 20
_WRONG = 3


@click.command()
@click.argument("out")
@without_config(click_options(VerifySettings))
@without_config(options_of("verify"))
@click.option("--all", "every", is_flag=True, help="List all that is wrong.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(out: str, every: bool, quiet: bool, as_json: bool, **options: Any) -> None:
    """Compare every byte of OUT with the checksums from when it was written.

    Reads all files of the run and of its labels, traces and tables. Decodes a sample of
    blocks (--deep: all) and compares their voxels with the ledger, and coarse levels with
    finer ones. Reports stale derived parts, missing blocks and foreign files. --repair
    restores what is wrong, including a lost ledger or run.json; what it replaces is kept
    in OUT/.blockseg/set-aside. More: docs/checks.md.

    Exit codes: 0 finished, and nothing is wrong; 1 OUT cannot be verified; 3 something is
    wrong, and listed, or OUT is unfinished; 130 interrupted.
    """
    from blockseg.checks.verification.run import verify as check

    from .progress import watcher

    chosen, names = given(options), declared(VerifySettings)
    settings = read_settings(
        VerifySettings, {key: value for key, value in chosen.items() if key in names}
    )
    execution = read_settings(
        RunSettings, {key: value for key, value in chosen.items() if key not in names}
    )
    command = click.get_current_context().obj
    with watcher(quiet=quiet or as_json, as_json=False) as watch:
        found = check(out, settings, execution, on_event=watch, command=command)
    if as_json:
        click.echo(json.dumps(found.to_plain(), indent=2))
    else:
        _print(found, quiet=quiet, every=every)
    if not found.sound:
        click.get_current_context().exit(_WRONG)


def _print(found: Verification, *, quiet: bool, every: bool) -> None:
    if not quiet:
        rate = found.bytes / max(found.seconds, 1e-9) / 1e6
        click.echo(
            f"Compared {counted(found.files, 'file')}, {found.bytes / 1e6:,.4g} MB, in "
            f"{span(found.seconds)} ({rate:,.0f} MB/s); decoded "
            f"{counted(found.blocks, 'block')}."
        )
        for note in found.notes:
            click.echo(f"Note: {note}.")
        for line in found.repaired:
            click.echo(f"Repair: {line}.")
    shown = len(found.findings) if every else _SHOWN
    for finding in found.findings[:shown]:
        click.echo(f"  {finding.line}")
    if len(found.findings) > shown:
        click.echo(f"  and {len(found.findings) - shown} more: --all lists them")
    if found.sound:
        if not quiet:
            click.echo(f"Sound: {found.out}")
        return
    for job in found.unfinished:
        whose = f"{job.part} of {found.out}" if job.part else str(found.out)
        click.echo(f"Unfinished: {job.line} in {whose}")
    if found.intact:
        if not quiet:
            click.echo("What is there is as it was written.")
            _tell_how_to_resume(found)
        return
    wrong = sum(one.kind is not Kind.UNFINISHED for one in found.findings)
    click.echo(f"Not as it should be: {counted(wrong, 'finding')} in {found.out}")
    if not quiet and not found.repaired:
        how = "Mend and finish" if found.unfinished else "Mend"
        click.echo(f"{how} it with: {_repair(found)}")


def _tell_how_to_resume(found: Verification) -> None:
    """Print each command that resumes something once, in the order of the jobs."""
    commands = [job.command or _repair(found) for job in found.unfinished]
    for command in dict.fromkeys(commands):
        click.echo(f"Resume it with: {command}")


def _repair(found: Verification) -> str:
    return blockseg_command("verify", found.out, "--repair")
