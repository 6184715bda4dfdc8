"""``blockseg propose-annotations``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from blockseg.config.merging import read_settings
from blockseg.config.propose_settings import ProposeSettings
from blockseg.core.choices import SourceChoices

from .options import click_options, options_of, settings_of, without_config

if TYPE_CHECKING:
    from blockseg.config.settings import RunSettings
    from blockseg.proposals.proposed import Proposed

_CORRECT = "Correct the drafts in {}, then"


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

    OUT is the output of a run, or of blockseg metrics. A SOURCE that nobody measured is
    measured first, without a network; a folder with image/ and label/ is picked from by
    --rule published. PICKS gets image/ and label/ with drafts to correct, a manifest and a
    report, and is what blockseg train takes. More: docs/propose.md.
    """
    from blockseg.proposals.labelled import is_labelled, propose_labelled
    from blockseg.proposals.run import propose
    from blockseg.proposals.source import check_source

    from .scores import bar

    names = {"scheduler", *(field.name for field in fields(SourceChoices))}
    of_source = {name: options.pop(name) for name in names}
    settings = read_settings(ProposeSettings, options)
    measuring = settings_of((), of_source)
    check_source(source, settings, measuring)
    labelled = is_labelled(source)
    measured = source if labelled else _measured(source, folder, measuring, quiet)
    with bar(quiet=quiet, what="Writing picks") as on_pick:
        if labelled:
            result = propose_labelled(
                source, folder, settings, measuring.choices, on_volume=on_pick
            )
        else:
            result = propose(measured, folder, settings, on_pick=on_pick)
    if not quiet:
        _print(result, "Copied; to train on them" if labelled else _CORRECT)


def _measured(source: str, folder: str, measuring: RunSettings, quiet: bool) -> str:
    """Return the output to pick from; a bare source is measured first."""
    from blockseg.proposals.brain import is_measured

    if is_measured(source):
        return source
    from blockseg.blockwise.outputs import writable
    from blockseg.measurement.run import metrics

    from .progress import watcher
    from .report import print_result

    writable(folder, "PICKS")  # before hours of measuring
    command = click.get_current_context().obj
    with watcher(quiet=quiet, as_json=False) as watch:
        result = metrics(source, None, measuring, on_event=watch, command=command)
    if not result.complete:
        print_result(result)
        click.get_current_context().exit(3)
    return str(result.out)


def _print(result: Proposed, next_step: str) -> None:
    from .report import counted

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
        f"{next_step.format(result.folder / 'label')}: blockseg train {result.folder} "
        "--init WEIGHTS -o RUN"
    )
