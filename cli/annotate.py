"""``blockseg annotate``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from blockseg.config.merging import read_settings
from blockseg.config.propose_settings import AnnotateSettings
from blockseg.core.text import blockseg_command

from .options import click_options, without_config

if TYPE_CHECKING:
    from blockseg.annotation.learning import TrainingCommand
    from blockseg.annotation.session import Session


@click.command()
@click.argument("picks")
@without_config(click_options(AnnotateSettings))
def annotate(picks: str, **options: Any) -> None:
    """Correct the drafts of PICKS in a browser.

    PICKS is a folder made by blockseg propose-annotations. Opens a page on this machine,
    which nobody else can reach: slices, a projection, brushes, thresholds, undo. When the
    page says saved, the stroke is on disk in PICKS/label; the original drafts are kept.
    --traces shows SWC files over the picks, to split, join, delete and accept them. Ctrl-C
    ends it. More: docs/annotate.md.
    """
    from blockseg.annotation.run import annotate as serve
    from blockseg.networks.shipped import SHIPPED

    settings = read_settings(AnnotateSettings, options)

    def say(address: str, session: Session) -> None:
        click.echo(f"{_standing(session)}. Ctrl-C ends it.\n{address}")

    session = serve(
        picks, settings, on_address=say, training=_training(picks, settings)
    )
    learn = blockseg_command(
        *("train", picks, "--init", settings.init or SHIPPED[0].name),
        *("--config", settings.train_config, "-o", settings.train or "RUN"),
    )
    click.echo(f"{_standing(session)}; to learn from them: {learn}")


def _training(picks: str, settings: AnnotateSettings) -> TrainingCommand | None:
    """Return the command of the page's button, if it has one."""
    if settings.train is None:
        return None
    from blockseg.annotation.learning import TrainingCommand
    from blockseg.networks.shipped import SHIPPED

    words = [
        *("train", picks, "-o", settings.train),
        *("--init", settings.init or SHIPPED[0].name),
        *("--config", settings.train_config),
    ]
    return TrainingCommand(
        (sys.executable, "-m", "blockseg_cli", *words, "--json"), ("blockseg", *words)
    )


def _standing(session: Session) -> str:
    from blockseg.core.text import counted
    from blockseg.training.annotations.drafts import DONE, SKIPPED

    states = [row.state for row in session.rows]
    skipped = states.count(SKIPPED)
    minutes = sum(row.minutes for row in session.rows)
    return (
        f"{states.count(DONE)} of {counted(len(states), 'pick')} done"
        f"{f', {skipped} skipped' if skipped else ''}, {minutes:.1f} minutes of work"
    )
