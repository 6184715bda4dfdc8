"""Lines for people, wrapped between words where a terminal would break them anywhere."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

_NARROWEST = 20


def say(text: str, *, err: bool = False) -> None:
    """Print a line, in a terminal wrapped at its width.

    Parameters
    ----------
    text
        The line. Into a file or a pipe it goes as one, for whoever reads it there.
    err
        To standard error.
    """
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        width = max(shutil.get_terminal_size().columns, _NARROWEST)
        text = textwrap.fill(
            text,
            width,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    click.echo(text, err=err)
