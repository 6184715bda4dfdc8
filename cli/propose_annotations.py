"""``blockseg propose-annotations``."""

from __future__ import annotations

import shlex
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from blockseg.config.merging import read_settings
from blockseg.config.propose_settings import ProposeSettings
from blockseg.core.choices import SourceChoices

from .options import click_options, options_of, settings_of, without_config

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult
    from blockseg.config.settings import RunSettings
    from blockseg.proposals.folder import Proposed

_CORRECT = "Correct the drafts (blockseg annotate {}), then"


@click.command()
@click.argument("source", metavar="OUT|SOURCE")
@click.option(
    "-o", "--output", "folder", required=True, metavar="PICKS", help="Folder."
)
@without_config(click_options(ProposeSettings))
@without_config(options_of("propose-annotations"))
@click.option("--scheduler", metavar="ADDRESS", help="To measure a SOURCE; as for run.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def propose_annotations(source: str, folder: str, quiet: bool, **options: Any) -> None:
    """Pick the blocks of a brain that are most worth annotating.

    OUT is the output of a run, or of blockseg metrics. A SOURCE that was not
    measured yet is measured first, without a network; --rule published also picks from a
    folder with image/ and label/. PICKS gets image/ and label/ with drafts to correct, a
    manifest and a report; blockseg train reads it. More: docs/propose.md.
    """
    from blockseg.proposals.labelled import is_labelled
    from blockseg.proposals.source import propose_source

    from .scores import bar

    names = {"scheduler", *(field.name for field in fields(SourceChoices))}
    of_source = {name: options.pop(name) for name in names}
    result = propose_source(
        source,
        folder,
        read_settings(ProposeSettings, options),
        settings_of((), of_source),
        measure=partial(_measure, quiet),
        picking=bar(quiet=quiet, what="Writing picks"),
    )
    if not quiet:
        _print(result, "Copied; to train on them" if is_labelled(source) else _CORRECT)


def _measure(quiet: bool, source: str, out: None, settings: RunSettings) -> JobResult:
    """Measure a source in sight of the user, to whom what is missing is told."""
    from blockseg.measurement.run import metrics

    from .outcome import print_result
    from .progress import watcher

    context = click.get_current_context()
    with watcher(quiet=quiet, as_json=False) as watch:
        result = metrics(source, out, settings, on_event=watch, command=context.obj)
    if not result.complete:
        print_result(result)
        context.exit(3)
    return result


def _print(result: Proposed, next_step: str) -> None:
    from blockseg.core.text import counted

    shape = "×".join(str(n) for n in result.shape)
    click.echo(
        f"{counted(len(result.names), 'pick')} of {shape} voxels from "
        f"{result.candidates} of {counted(result.blocks, 'block')}."
    )
    for note in result.notes:
        click.echo(f"Note: {note}.")
    if result.kept:
        click.echo(
            f"{counted(result.kept, 'label')} that were there stayed as they were."
        )
    click.echo(f"Look at them: {result.folder / 'report.html'}")
    click.echo(
        f"{next_step.format(shlex.quote(str(result.folder)))}: blockseg train "
        f"{shlex.quote(str(result.folder))} --init {shlex.quote(result.weights)} "
        "--config train-finetune -o RUN"
    )
